"""`python -m examples.repairer`: plays the story and keeps its files."""

from examples.program import program
from examples.repairer.story import play

main = program(
    "repairer", "A repair at the owner's request: one vehicle's faults and kilometres, for the garage that its owner chose.", play
)

if __name__ == "__main__":
    main()
