"""Reads and writes NumPy's .npy files with the standard library alone.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""
import ast
import json
import math
import struct

MAGIC = b"\x93NUMPY"
# By kind and width, as `struct` names them.
CODES = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
         "f2": "e", "f4": "f", "f8": "d"}


def read(path):
    """The shape of the array, and its numbers row by row."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != MAGIC or len(data) < 12:
        raise ValueError(f"{path} is no .npy file")
    wide = data[6] >= 2
    length = struct.unpack("<I" if wide else "<H", data[8:12] if wide else data[8:10])[0]
    start = (12 if wide else 10) + length
    header = ast.literal_eval(data[(12 if wide else 10):start].decode("utf-8"))
    shape, order, kind = header["shape"], header["descr"][0], header["descr"][1:]
    if kind not in CODES:
        raise ValueError(f"{path} holds {header['descr']}, which is no plain number")
    count = math.prod(shape)
    numbers = struct.unpack_from(f"{'>' if order == '>' else '<'}{count}{CODES[kind]}", data, start)
    return shape, by_row(numbers, shape) if header["fortran_order"] else list(numbers)


def by_row(numbers, shape):
    """What was written column by column, row by row."""
    if len(shape) != 2:
        return list(numbers)
    rows, columns = shape
    return [numbers[column * rows + row] for row in range(rows) for column in range(columns)]


def write(path, shape, numbers):
    """As 64-bit floating numbers, row by row."""
    text = repr({"descr": "<f8", "fortran_order": False, "shape": tuple(shape)})
    # The header ends with a line end, and the numbers begin at a multiple of 64.
    padding = -(10 + len(text) + 1) % 64
    header = (text + " " * padding + "\n").encode("ascii")
    with open(path, "wb") as file:
        file.write(MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header)
        file.write(struct.pack(f"<{len(numbers)}d", *numbers))


def parameters(path="input.json"):
    """The parameters in their order; a text that names an .npy file beside them stands for what is in it."""
    with open(path, encoding="utf-8") as file:
        return {name: value_of(value) for name, value in json.load(file).items()}


def value_of(value):
    """A number or an array, as a shape and its numbers."""
    if isinstance(value, str) and value.endswith(".npy"):
        return read(value)
    if isinstance(value, (int, float)):
        return (), [value]
    if isinstance(value, list) and value and isinstance(value[0], list):
        if any(len(row) != len(value[0]) for row in value):
            raise ValueError("the rows of a matrix differ in length")
        return (len(value), len(value[0])), [number for row in value for number in row]
    if isinstance(value, list):
        return (len(value),), value
    raise ValueError(f"{value!r} is no number, list or .npy file")
