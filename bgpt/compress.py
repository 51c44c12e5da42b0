"""Lossless compression with a predictor: a file in, a smaller one out, and back, checked.

What comes out of `decompress` is what went into `compress`, or nothing does: damage, another model,
another build and another given file are found before anything is decoded, and the bytes themselves
are checked in the end, in case the machine computed otherwise after all.
"""

from collections.abc import Callable

from bgpt.compressed_file import (
    BUILD_BYTES,
    CHECK_BYTES,
    GIVEN_BYTES,
    MODEL_BYTES,
    CompressedFile,
    Refused,
    digest,
    pack,
)
from bgpt.entropy_coding import Context, Predictor, decode, encode


def silent(num_bytes: int) -> None:
    """Tell nobody how many bytes are done."""


def compress(
    predictor: Predictor,
    context: Context,
    data: bytes,
    on_bytes: Callable[[int], None] = silent,
) -> bytes:
    """Return `data`, which follows `context.begin`, as a compressed file.

    Raises:
        TooLong: what is given leaves no room.
        ValueError: the predictor cannot be run.
    """
    return pack(
        CompressedFile(
            model=predictor.identity[:MODEL_BYTES],
            build=_build(predictor),
            extension=context.extension,
            given=_given(context),
            length=len(data),
            check=digest(data, CHECK_BYTES) if data else b"",
            words=encode(predictor, context, data, on_bytes),
        )
    )


def require_fitting(
    name: str, file: CompressedFile, predictor: Predictor, context: Context
) -> None:
    """Refuse a compressed file, called `name`, that was not made with these.

    Raises:
        Refused: another model, another numerical build, another given file.
    """
    if predictor.identity[:MODEL_BYTES] != file.model:
        raise Refused(
            f"{name}: made with the model whose hash begins with {file.model.hex()}; that of the "
            f"named one begins with {predictor.identity[:MODEL_BYTES].hex()}"
        )
    if _build(predictor) != file.build:
        raise Refused(
            f"{name}: made by another numerical build ({file.build.hex()}), whose sums end in "
            f"other bits; decompress it where it was made. Here is {_build(predictor).hex()}: "
            f"{predictor.build}"
        )
    if _given(context) != file.given:
        how = (
            "made with nothing given; leave --given and --begin out"
            if file.given is None
            else "made with something given; name it with --given or --begin"
            if _given(context) is None
            else "made with something else given"
        )
        raise Refused(f"{name}: {how}")


def decompress(
    name: str,
    file: CompressedFile,
    predictor: Predictor,
    context: Context,
    on_bytes: Callable[[int], None] = silent,
) -> bytes:
    """Return the bytes that the compressed file called `name` was made of, behind `context.begin`.

    Raises:
        Refused: see `require_fitting`; or what comes out is not what went in.
        ValueError: the predictor cannot be run.
    """
    require_fitting(name, file, predictor, context)
    try:
        data = decode(predictor, context, file.words, file.length, on_bytes)
    except Refused as error:
        raise Refused(f"{name}: damaged, or this machine computes otherwise: {error}") from error
    if file.length and digest(data, CHECK_BYTES) != file.check:
        raise Refused(
            f"{name}: what comes out is not what went in: this machine computes otherwise than the "
            "one that compressed it"
        )
    return data


def _build(predictor: Predictor) -> bytes:
    return digest(predictor.build.encode(), BUILD_BYTES)


def _given(context: Context) -> bytes | None:
    given, begin = context.given, context.begin
    if given is None and not begin:
        return None
    source = b"" if given is None else digest(given.extension.encode() + b"." + given.data, 32)
    return digest(source + begin, GIVEN_BYTES)
