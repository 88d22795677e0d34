"""`python -m examples.payd_insurer`: plays the story and keeps its files."""

from examples.payd_insurer.story import play
from examples.program import program

main = program("payd", "Pay as you drive: from raw trips at a car maker to premiums at an insurer.", play)

if __name__ == "__main__":
    main()
