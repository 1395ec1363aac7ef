import asyncio

import pytest

from qa.errors import ModelBusyError
from qa.gate import Gate


def test_so_many_are_inside_so_many_wait_and_the_next_is_told_at_once() -> None:
    async def scenario() -> None:
        gate = Gate(slots=2, queue=1)
        leave = asyncio.Event()
        inside: list[int] = []

        async def visit(number: int) -> None:
            async with gate.enter():
                inside.append(number)
                await leave.wait()

        visits = [asyncio.create_task(visit(n)) for n in range(3)]
        await asyncio.sleep(0)
        assert inside == [0, 1]
        with pytest.raises(ModelBusyError) as raised:
            async with gate.enter():
                pass
        assert raised.value.fix
        leave.set()
        await asyncio.gather(*visits)
        assert inside == [0, 1, 2]

    asyncio.run(scenario())


def test_a_place_is_free_again_after_an_error_inside() -> None:
    async def scenario() -> None:
        gate = Gate(slots=1, queue=0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with gate.enter():
                    raise ZeroDivisionError

    asyncio.run(scenario())


def test_one_who_stops_waiting_gives_the_place_in_the_queue_back() -> None:
    async def scenario() -> None:
        gate = Gate(slots=1, queue=1)

        async def visit() -> str:
            async with gate.enter():
                return "in"

        async with gate.enter():
            waiting = asyncio.create_task(visit())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            other = asyncio.create_task(visit())
            await asyncio.sleep(0)
            assert not other.done()
        assert await other == "in"

    asyncio.run(scenario())
