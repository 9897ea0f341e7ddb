"""area.simulator.run_simulation: stands in for a simulator. Heat in a rod, by explicit differences.

The client sends a folder (`sim_dir`) and the name of a file in it (`input_filename`): JSON with `cells`, `steps` and `left`, the
temperature that the left end is held at.
"""
import csv
import json
import os
import shutil

import result


def main():
    with open("input.json", encoding="utf-8") as file:
        parameters = json.load(file)
    folder = parameters["sim_dir"]
    with open(os.path.join(folder, parameters["input_filename"]), encoding="utf-8") as file:
        case = json.load(file)
    cells, steps = case["cells"], case["steps"]
    rod = [0.0] * cells
    for step in range(steps):
        rod[0] = case["left"]
        rod = [rod[0]] + [cell + 0.25 * (before - 2 * cell + after)
                          for before, cell, after in zip(rod, rod[1:], rod[2:] + [rod[-1]])]
        if (step + 1) % max(1, steps // 10) == 0:
            print(f"step {step + 1} of {steps}", flush=True)
    # What came in goes back too, as simulators that work in place do.
    shutil.copytree(folder, result.artifact("case"))
    with open(result.artifact("temperatures.csv"), "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(enumerate(rod))
    result.leave()


main()
