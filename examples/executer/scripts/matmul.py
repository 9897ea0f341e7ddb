"""math.matmul: the product of two matrices, as an .npy file in the artifacts."""
import npy
import result


def main():
    (left_shape, left), (right_shape, right) = list(npy.parameters().values())[:2]
    rows, inner = left_shape
    other, columns = right_shape
    if inner != other:
        raise SystemExit(f"a {rows} x {inner} matrix cannot be multiplied with one of {other} x {columns}")
    across = [right[column::columns] for column in range(columns)]
    product = []
    for row in range(rows):
        line = left[row * inner:(row + 1) * inner]
        product.extend(sum(a * b for a, b in zip(line, column)) for column in across)
    print(f"multiplied {rows} x {inner} and {inner} x {columns}", flush=True)
    npy.write(result.artifact("product.npy"), (rows, columns), product)
    result.leave("product.npy")


main()
