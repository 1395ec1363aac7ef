"""The branches of the error tree for questions and models; the root is in `index.errors`.

FootnoteError
├── BadInputError
│   ├── EmptyQuestionError
│   ├── QuestionTooLongError
│   ├── QuestionSetError         an evaluation's questions or documents
│   └── RunError                 a file of answers
└── ModelError                   no answer can be made now
    ├── WeightsUnavailableError
    ├── DigestMismatchError
    ├── ModelSettingError
    ├── ModelUnavailableError
    └── ModelBusyError
"""

from __future__ import annotations

from index.errors import BadInputError, FootnoteError


class EmptyQuestionError(BadInputError):
    """A question with nothing in it."""

    fix = "Ask something."


class QuestionTooLongError(BadInputError):
    """A question longer than a question."""

    fix = "Ask in fewer words; put long text into a document and ask about it."


class QuestionSetError(BadInputError):
    """A question set, or its documents, that cannot be read as one; names the line."""


class RunError(BadInputError):
    """A file of answers that is none, or that does not belong to what is asked of it."""


class ModelError(FootnoteError):
    """No answer can be made now."""


class WeightsUnavailableError(ModelError):
    """The files of a model can be had from none of their sources."""

    fix = "Check the network, then run `footnote weights` again; what was fetched is kept."


class DigestMismatchError(ModelError):
    """A weights file is not the file it should be; it was not loaded."""

    fix = "Delete the file and run `footnote weights`; if it happens again, the source is wrong."


class ModelSettingError(ModelError):
    """The settings name a model that cannot be built, or a program that does not run."""


class ModelUnavailableError(ModelError):
    """The language model did not answer."""

    fix = "Ask again in a few seconds."


class ModelBusyError(ModelError):
    """More questions wait for the model than the queue holds."""

    fix = "Ask again after the seconds in Retry-After."
