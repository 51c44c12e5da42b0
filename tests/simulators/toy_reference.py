"""The toy CPU a second time, in plain Python from its description: the tests' oracle.

It shares no code and no table with `simulators`, on purpose.
"""

from hashlib import blake2b

MASK = 2**64 - 1
UNARY = {
    "CLR": lambda x: 0,
    "INC": lambda x: x + 1 if x < 255 else 255,
    "DEC": lambda x: x - 1 if x > 0 else 0,
    "SHL": lambda x: x * 2 % 256,
    "SHR": lambda x: x // 2,
    "ROL": lambda x: int(f"{x:08b}"[1:] + f"{x:08b}"[:1], 2),
    "ROR": lambda x: int(f"{x:08b}"[-1:] + f"{x:08b}"[:-1], 2),
    "NOT": lambda x: x ^ 255,
}
BINARY = {
    "ADD": lambda x, y: sorted((0, x + y, 255))[1],
    "SUB": lambda x, y: sorted((0, x - y, 255))[1],
    "MUL": lambda x, y: sorted((0, x * y, 255))[1],
    "DIV": lambda x, y: 255 if y == 0 else x // y,
    "AND": lambda x, y: x & y,
    "OR": lambda x, y: x | y,
    "XOR": lambda x, y: x ^ y,
}
NAMES = [
    "HLT",
    "CLR",
    "INC",
    "DEC",
    "SHL",
    "SHR",
    "ROL",
    "ROR",
    "NOT",
    "PUSH",
    "POP",
    "LOADI",
    "SWAP",
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "AND",
    "OR",
    "XOR",
    "MOV",
]
FORMS = {
    "HLT": [0],
    **{name: [0, 1] for name in UNARY},
    **{name: [1] for name in ("PUSH", "POP", "LOADI")},
    "SWAP": [1, 2],
    **{name: [1, 2, 3] for name in BINARY},
    "MOV": [2],
}
"""Numbers of operands that each name may have."""


def is_valid(op: int, operands: list[int]) -> bool:
    if op > 20:
        return False
    if NAMES[op] == "LOADI":
        return operands[1:] == [0, 0]
    present = [operand for operand in operands if operand]
    padded = present + [0] * (3 - len(present))
    return padded == operands and len(present) in FORMS[NAMES[op]] and all(x <= 10 for x in present)


def run(program: bytes, initial_state: bytes, memory_bytes: int) -> tuple[list[bytes], str]:
    """Return the recorded states and the end reason."""
    memory = program + bytes(memory_bytes - len(program))
    last = memory_bytes // 4 - 1
    pc, registers = initial_state[0], [initial_state[1], *initial_state[6:]]
    states = [initial_state]
    while True:
        fetched_at = pc
        ir = memory[4 * pc : 4 * pc + 4]
        pc = min(pc + 1, last)
        states.append(bytes([pc, registers[0], *ir, *registers[1:]]))
        op, operands = ir[0], list(ir[1:])
        if not is_valid(op, operands):
            return states, "INVALID_INSTRUCTION"
        if op == 0:
            return states, "HALTED"
        if fetched_at == last:
            return states, "STEP_LIMIT"
        execute(NAMES[op], operands, registers)


def execute(name: str, operands: list[int], registers: list[int]) -> None:
    r, s, t = operands
    if name in UNARY:
        registers[r] = UNARY[name](registers[r])
    elif name == "PUSH":
        registers[0] = registers[r]
    elif name == "POP":
        registers[r] = registers[0]
    elif name == "LOADI":
        registers[0] = r
    elif name == "MOV":
        registers[r] = registers[s]
    elif name == "SWAP":
        one, other = (r, s) if s else (0, r)
        registers[one], registers[other] = registers[other], registers[one]
    elif s == 0:
        registers[0] = BINARY[name](registers[0], registers[r])
    elif t == 0:
        registers[r] = BINARY[name](registers[r], registers[s])
    else:
        registers[t] = BINARY[name](registers[r], registers[s])


def splitmix64(seed: int, index: int) -> int:
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def draw(seed: int, counter: int, max_instructions: int) -> tuple[bytes, bytes]:
    """Return the program and the initial state of one draw, as the docs describe it."""
    digest = blake2b(f"toy/1/{seed}".encode("ascii"), digest_size=8).digest()
    start = splitmix64(int.from_bytes(digest, "little"), counter)
    length = 1 + (splitmix64(start, 0) * max_instructions >> 64)
    registers = splitmix64(start, 1).to_bytes(8, "little")
    registers += splitmix64(start, 2).to_bytes(8, "little")[:3]
    program = b""
    for j in range(length - 1):
        bits = splitmix64(start, 3 + j)
        op, bits = divmod(bits * 20, 2**64)
        name = NAMES[1 + op]
        form, bits = divmod(bits * len(FORMS[name]), 2**64)
        operands = [0, 0, 0]
        for k in range(FORMS[name][form]):
            number, bits = divmod(bits * (256 if name == "LOADI" else 10), 2**64)
            operands[k] = number if name == "LOADI" else 1 + number
        program += bytes([1 + op, *operands])
    return program + bytes(4), bytes([0, registers[0], 0, 0, 0, 0, *registers[1:]])
