"""What the tests of a worker share: a project, a service that runs on it, a host that serves."""

from collections.abc import Iterator

import psycopg
import pytest
from tests.deploy.host_root import HostRoot, host_root
from tests.deploy.stand_in import administrator, objects_kept
from tests.e2e.live import Live, serving
from tests.e2e.supabase_stack import Project, project_in


@pytest.fixture(scope="session")
def running_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_in(tmp_path_factory.mktemp("project")) as project:
        with psycopg.connect(administrator(project), autocommit=True) as conn:
            conn.execute("create extension plpgsql_check")
        yield project


@pytest.fixture
def project(running_project: Project) -> Iterator[Project]:
    """The project; what a test does to its files is undone."""
    with objects_kept(running_project):
        yield running_project


@pytest.fixture(scope="session")
def on_project(
    running_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A service, API and worker, that runs on the project."""
    home = tmp_path_factory.mktemp("on-project") / "home"
    with serving(home, 0, 1, **running_project.settings(listening=True)) as live:
        yield live


# ---------------------------------------------------------------- hosts


@pytest.fixture(scope="session")
def rooted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostRoot]:
    """Lend a root with two good releases, one of which serves, and two that cannot serve."""
    with host_root(tmp_path_factory.mktemp("host")) as made:
        made.install("1.0.0")
        made.install("1.1.0")
        made.install("1.2.0", "broken_start")
        made.install("1.3.0", "failing_readyz")
        made.deploy("1.0.0")
        yield made


@pytest.fixture
def host(rooted: HostRoot) -> Iterator[HostRoot]:
    """Lend it; afterwards one release serves and nothing is left over."""
    yield rooted
    rooted.call("settle")
    found = rooted.status()
    assert (found["leftovers"], found["proxy"]) == ([], "running")


@pytest.fixture
def two(host: HostRoot) -> tuple[str, str]:
    """Return the good release that serves, and the other one."""
    now = str(host.serving())
    return now, "1.1.0" if now == "1.0.0" else "1.0.0"
