"""What a host goes back to, after any sequence of deployments and returns."""

from hypothesis import given
from hypothesis import strategies as st

from kis_deploy.host.state import State

VERSIONS = st.sampled_from(["1.0.0", "1.1.0", "1.2.0"])


def deployed(*versions: str) -> State:
    state = State(ports={"blue": 8001, "green": 8002})
    for version in versions:
        state = state.switched(version)
    return state


def names(state: State) -> tuple[str | None, ...]:
    served = (state.serving, state.previous, state.earlier)
    return tuple(None if found is None else found.version for found in served)


def test_going_back_forgets_what_is_left() -> None:
    state = deployed("1.0.0", "1.1.0", "1.2.0")
    assert names(state) == ("1.2.0", "1.1.0", "1.0.0")
    assert names(state.switched("1.1.0", back=True)) == ("1.1.0", "1.0.0", None)


def test_deploying_the_same_again_keeps_what_to_go_back_to() -> None:
    state = deployed("1.0.0", "1.1.0", "1.1.0")
    assert names(state) == ("1.1.0", "1.0.0", None)
    assert names(state.switched("1.1.0", back=True)) == ("1.1.0", "1.0.0", None)


@given(st.lists(st.tuples(VERSIONS, st.booleans()), max_size=12))
def test_nobody_goes_back_to_what_serves(moves: list[tuple[str, bool]]) -> None:
    state = deployed()
    for version, back in moves:
        colour = state.idle
        state = state.switched(version, back=back)
        assert state.serving is not None
        assert (state.serving.version, state.serving.colour) == (version, colour)
        assert state.previous is None or state.previous.version != version
