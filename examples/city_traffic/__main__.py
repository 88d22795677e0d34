"""`python -m examples.city_traffic`: plays the story and keeps its files."""

from examples.city_traffic.story import play
from examples.program import program

main = program("city-traffic", "A city gets how fast its traffic flows, and a map of it; a company pays for the same.", play)

if __name__ == "__main__":
    main()
