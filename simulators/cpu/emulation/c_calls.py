# pyright: reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportAny=false
# pyright: reportUntypedFunctionDecorator=false, reportUnknownMemberType=false
"""Calls of C functions through their addresses, for compiled code.

Addresses are numbers that come at run time. numba can call ctypes functions too, but compiles
their addresses in, which keeps the code out of its disk cache: seconds in every process.

Nothing is checked: a wrong address or signature is a crash.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def call(typingctx, address, arguments):  # noqa: ARG001
    """Call the C function at `address` with a tuple of int64, addresses among them."""
    signature = types.int32(types.int64, arguments)

    def generate(context, builder, signature, values):  # noqa: ARG001
        number, packed = values
        int64 = ir.IntType(64)
        count = len(signature.args[1])
        # An int where C expects 32 bits is passed whole: the upper half is not looked at.
        function = ir.FunctionType(ir.IntType(32), [int64] * count)
        pointer = builder.inttoptr(number, function.as_pointer())
        return builder.call(pointer, [builder.extract_value(packed, i) for i in range(count)])

    return signature, generate


@intrinsic
def call_variadic(typingctx, address, first, second):  # noqa: ARG001
    """Call the C function `int f(void *, int, ...)` at `address` without further arguments."""
    signature = types.int32(types.int64, types.int64, types.int64)

    def generate(context, builder, signature, values):  # noqa: ARG001
        number, engine, control = values
        int32, int64 = ir.IntType(32), ir.IntType(64)
        function = ir.FunctionType(int32, [int64, int32], var_arg=True)
        pointer = builder.inttoptr(number, function.as_pointer())
        return builder.call(pointer, [engine, builder.trunc(control, int32)])

    return signature, generate


@intrinsic
def pointer(typingctx, address):  # noqa: ARG001
    """Return a number as a pointer."""
    signature = types.voidptr(types.int64)

    def generate(context, builder, signature, values):  # noqa: ARG001
        return builder.inttoptr(values[0], ir.IntType(8).as_pointer())

    return signature, generate
