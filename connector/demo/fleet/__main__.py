"""`python -m connector.demo.fleet`: write a fleet to a file and say how fast that was."""

from __future__ import annotations

import time
from pathlib import Path

import click

from connector.demo.fleet.profiles import PROFILES
from connector.demo.fleet.ved import write_ved
from connector.demo.fleet.writing import write_parquet


@click.command()
@click.option("--profile", type=click.Choice(sorted(PROFILES)), default="kit", show_default=True)
@click.option("--vehicles", type=click.IntRange(1), default=100, show_default=True)
@click.option("--days", type=click.IntRange(1, 3_660), default=7, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A Parquet file, or with --ved a folder.")
@click.option("--ved", is_flag=True, help="Write weekly CSV files as those of the Vehicle Energy Dataset.")
def main(profile: str, vehicles: int, days: int, seed: int, out: Path, ved: bool) -> None:
    """Write what a made-up fleet drives."""
    began = time.perf_counter()
    write = write_ved if ved else write_parquet
    written = write(out, PROFILES[profile], vehicles, days, seed)
    rate = written.rows / (time.perf_counter() - began)
    click.echo(f"{written.rows:,} rows of {written.vehicles:,} vehicles, {written.trips:,} trips, {written.km:,.0f} km")
    click.echo(f"{rate:,.0f} rows/s")


if __name__ == "__main__":
    main()
