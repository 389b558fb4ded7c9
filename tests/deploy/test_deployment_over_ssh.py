"""A deployment to a host that is reached over ssh, from a machine that runs nothing itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.deploy.load import Load
from tests.deploy.site import Site, site_in
from tests.deploy.sshd import Server, sshd

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def site(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_in(tmp_path_factory.mktemp("over_ssh")) as made:
        made.environment["DEPLOY_HOSTS"] = server.address
        made.environment["DEPLOY_SSH_CONFIG"] = str(server.config)
        made.environment["DEPLOY_BASE_URL"] = made.url
        yield made


def test_two_releases_and_back(site: Site) -> None:
    told = site.deploy(site.release("1.1.0"))
    name = site.environment["DEPLOY_HOSTS"].removeprefix("ssh://")
    assert f"{name}: sending v1.1.0" in told
    assert (site.checkout / "out/tools/releases/v1.1.0").is_dir()  # for the commands here
    assert site.serving == "1.1.0"
    with Load(site.url, token=site.project.token()) as load:
        site.deploy(site.release("1.2.0"), "--step", "6", "--step", "7")
        done = site.script("--rollback")
        assert done.returncode == 0, done.stdout
    assert load.failures == []
    assert load.versions_seen == {"1.1.0", "1.2.0"}
    assert site.serving == "1.1.0"


def test_a_host_that_is_away_is_told_before_anything_changes(site: Site, server: Server) -> None:
    away = server.address.rpartition(":")[0] + ":1"
    done = site.script("--yes", cut=site.folder / "cut/v1.2.0", DEPLOY_HOSTS=away)
    assert done.returncode == 1
    assert f"{away.removeprefix('ssh://')}: " in done.stdout
    assert [step["number"] for step in site.report()["steps"]] == [0]
    assert site.serving == "1.1.0"
