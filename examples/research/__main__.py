"""`python -m examples.research`: plays the story and keeps its files."""

from examples.program import program
from examples.research.story import play

main = program("research", "Two laboratories study the same drives, and delete them when they have to.", play)

if __name__ == "__main__":
    main()
