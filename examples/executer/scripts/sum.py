"""math.sum: everything that it is given, added up."""
import npy
import result

total = sum(number for _, numbers in npy.parameters().values() for number in numbers)
print(total, flush=True)
result.leave(total)
