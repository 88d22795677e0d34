"""What holds for every hypothesis test: nothing depends on how fast this machine happens to be, with tests beside each other."""

from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """Let an example, and the drawing of it, take as long as it does; a test that hangs ends by its timeout."""
    name = "at-any-speed"
    current = settings.get_profile(settings.get_current_profile_name())
    settings.register_profile(name, current, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile(name)
