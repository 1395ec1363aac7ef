"""Every error that Footnote raises on purpose, drawn as a tree.

FootnoteError
├── BadInputError                what was sent cannot be used; sending it again will not help
│   ├── EmptyDocumentError
│   ├── DocumentTooLargeError
│   ├── UndecodableTextError
│   ├── UnsupportedFormatError
│   └── InvalidNameError
├── NotFoundError
│   ├── DocumentNotFoundError
│   └── CollectionNotFoundError
└── StorageError                 the data folder cannot do what is asked of it
    ├── StorageFullError
    ├── LibraryInUseError
    ├── CatalogUnreadableError
    └── EmbedderMismatchError

`qa.errors` adds the branches for questions and models.
"""

from __future__ import annotations


class FootnoteError(Exception):
    """Something a person can act on: `str(error)` says what happened, `fix` what to do."""

    fix: str = ""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        if fix is not None:
            self.fix = fix


class BadInputError(FootnoteError):
    """What was sent cannot be used."""


class EmptyDocumentError(BadInputError):
    """A document without a single visible character."""

    fix = "Send a document that has text in it."


class DocumentTooLargeError(BadInputError):
    """A document of more bytes than this service takes."""

    fix = "Split the document, or raise FOOTNOTE_MAX_DOCUMENT_BYTES."


class UndecodableTextError(BadInputError):
    """Bytes that are not the text they claim to be."""

    fix = "Save the file as UTF-8 and send it again."


class UnsupportedFormatError(BadInputError):
    """A file format that no loader reads."""


class InvalidNameError(BadInputError):
    """A collection or document name that cannot be one."""


class NotFoundError(FootnoteError):
    """A name or id that stands for nothing."""


class DocumentNotFoundError(NotFoundError):
    """No document has this id."""

    fix = "List the documents to see their ids: `footnote documents` or GET /v1/documents."


class CollectionNotFoundError(NotFoundError):
    """No document was ever put into this collection."""

    fix = "Ingest a document into the collection first, or leave `collection` out."


class StorageError(FootnoteError):
    """The data folder cannot do what is asked of it."""


class StorageFullError(StorageError):
    """The disk has no room; what was being written is not there, what was there still is."""

    fix = "Free some space, then ingest the document again."


class LibraryInUseError(StorageError):
    """Another process owns the data folder."""


class CatalogUnreadableError(StorageError):
    """The catalog is not a database that this version can read."""


class EmbedderMismatchError(StorageError):
    """Stored vectors come from another embedding model than the one at hand."""
