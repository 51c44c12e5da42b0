"""The authors' generator a second time, in plain Python over Python's own `random`: an oracle.

It shares no code and no table with `simulators`, on purpose; the machine is `toy_reference`.
"""

import random
from hashlib import md5

NAMES = [
    *("CLR", "INC", "DEC", "SHL", "SHR", "ROL", "ROR", "NOT", "PUSH", "POP"),
    *("LOADI", "SWAP", "ADD", "SUB", "MUL", "DIV", "AND", "OR", "XOR", "MOV"),
]
COUNTS = {
    **{name: [0, 1] for name in ("CLR", "INC", "DEC", "SHL", "SHR", "ROL", "ROR", "NOT")},
    **{name: [1] for name in ("PUSH", "POP")},
    "SWAP": [1, 2],
    **{name: [1, 2, 3] for name in ("ADD", "SUB", "MUL", "DIV", "AND", "OR", "XOR")},
    "MOV": [2],
}
REGISTERS = "ABCDEFGHIJ"


def draw(stream: random.Random, max_instructions: int = 255) -> tuple[str, bytes, bytes]:
    """Return a program's text, its code and its initial state."""
    acc = stream.randint(0, 255)
    registers = [stream.randint(0, 255) for _ in REGISTERS]
    lines: list[str] = []
    code = b""
    for _ in range(stream.randint(1, max_instructions) - 1):
        name = stream.choice(NAMES)
        if name == "LOADI":
            number = stream.randint(0, 255)
            lines.append(f"LOADI {number}")
            operands = [number]
        else:
            count = stream.choice(COUNTS[name])
            letters = [stream.choice(REGISTERS) for _ in range(count)]
            lines.append(" ".join([name, *letters]))
            operands = [1 + REGISTERS.index(letter) for letter in letters]
        code += bytes([1 + NAMES.index(name), *operands, 0, 0, 0][:4])
    text = "\n".join([*lines, "HLT"])
    return text, code + bytes(4), bytes([0, acc, 0, 0, 0, 0, *registers])


def file_name(text: str) -> str:
    """Return the name under which a program's file is written, over an earlier one of that name."""
    return md5(text.encode(), usedforsecurity=False).hexdigest()
