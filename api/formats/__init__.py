"""Footnote in the wire formats of other projects' clients, which work against it unchanged.

A module a client: what it sends, what it is answered, and an encoder of the event stream. Unknown
fields are ignored here, since such clients send many that mean nothing to Footnote.

Tokens are not verified yet and can be withdrawn. Where a client cannot take words back, its encoder
sends none of them: the text goes out, word by word, once it is proven.
"""
