"""The database of a project: lint, pending migrations, drift, push, and whose installation it is.

Passwords go to `psql` and to the Supabase command line in the environment; addresses do without.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from kis_deploy.config import Config
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import HIDDEN, Redactor, Result, Runner
from kis_deploy.supabase import cli, environment

SCHEMAS = "public,shared,estimator"
APPLY_SEC = 3600.0
"""How long migrations may take, here and in their rehearsal on a copy."""
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
_OWNER = "SUPABASE_OWNER_URL"
_FILE = re.compile(r"(\d{14})_\w[\w-]*\.sql")
_APPLYING = re.compile(r"Applying migration (\S+\.sql)")
_CONNECT_SEC = "15"
_SCRIPT_SEC, _COMMAND_SEC = 120.0, 600.0
_FIRST_WITH_MAINTAIN = 170_000

_HISTORY = r"""
select to_regclass('supabase_migrations.schema_migrations') is not null as begun,
  to_regclass('supabase_migrations.kis_checksums') is not null as summed \gset
\if :begun
select coalesce(json_object_agg(version, statements), '{}')
from supabase_migrations.schema_migrations;
\else
select '{}';
\endif
\if :summed
select coalesce(json_object_agg(version, sha256), '{}') from supabase_migrations.kis_checksums;
\else
select '{}';
\endif
"""
# What each server grants by itself is no drift: older ones do not know this privilege.
_WITHOUT_MAINTAIN = """
do $$
declare given record;
begin
  for given in
    select c.oid::regclass as kept, a.grantee::regrole as who
    from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
    where c.relnamespace in (select oid from pg_namespace
                             where nspname in ('public', 'shared', 'estimator'))
      and c.relkind in ('r', 'p', 'v', 'm') and a.privilege_type = 'MAINTAIN'
  loop
    execute format('revoke maintain on %s from %s', given.kept, given.who);
  end loop;
end $$;
"""
_STILL_AT_WORK = Problem(
    "Database",
    "the server may still be at work on it: what ended is the command line alone",
    "Before the step is run again, look for its query in pg_stat_activity (`select pid, state,"
    " query_start, query from pg_stat_activity where usename = current_user`); wait for its end,"
    " or end it with pg_terminate_backend(pid)",
)
# Also no drift: the privileges of `public` itself, which are the project's, not a migration's.
_SURROUNDINGS = re.compile(
    r"^(?:SET local check_function_bodies = off"
    r'|ALTER DEFAULT PRIVILEGES FOR ROLE "[^"\n]+" IN SCHEMA "public" [^\n]+'
    r'|(?:GRANT|REVOKE) [^\n]+ ON SCHEMA "public" [^\n]+'
    r'|COMMENT ON SCHEMA "public" [^\n]+);\n*',
    re.MULTILINE,
)
_INSTALLATION = r"""
select to_regclass('shared.installation') is not null as known \gset
\if :known
select json_build_object('id', i.id, 'environment', i.environment, 'bucket', i.bucket,
  'projectRef', i.project_ref) from shared.installation i;
\else
select 'null';
\endif
"""
_CLAIM = """
update shared.installation set
  environment = coalesce(environment, :'environment'),
  bucket = coalesce(bucket, :'bucket'),
  project_ref = coalesce(project_ref, nullif(:'project_ref', ''));
"""
_SERVER = "select current_setting('server_version_num');"
_HAS_LOGIN = "select to_json(to_regrole('kis_api') is not null);"
# The two lines after `\password` are what it asks for.
_LOGIN = rf"""
begin;
create role kis_api login noinherit;
\password kis_api
{HIDDEN}
{HIDDEN}
commit;
"""


def address(url: str) -> tuple[str, dict[str, str]]:
    """Return a database's address without the password, and the environment that holds it.

    >>> address("postgresql://kis_api:p%40ss@db.internal:5432/kis")[0]
    'postgresql://kis_api@db.internal:5432/kis'
    """
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    known = {
        "PGPASSWORD": unquote(parts.password or ""),
        "PGCONNECT_TIMEOUT": _CONNECT_SEC,
        # Only an address that says so (?sslmode=disable) goes over a network in the clear.
        "PGSSLMODE": "disable" if parts.hostname in _LOCAL else "require",
    }
    bare = parts._replace(netloc=f"{user.partition(':')[0]}@{place}")
    return urlunsplit(bare), known


def run_psql(
    config: Config,
    url: str,
    script: str,
    variables: Mapping[str, str] | None = None,
    *,
    runner: Runner | None = None,
    hidden: str = "",
) -> tuple[Result, list[str]]:
    """Run a script of psql on a database; return how it ended, and the lines of its results.

    The output that the first has is what the server told besides, such as warnings at the login.
    The variables hold no secret (`:'name'`); `hidden` does, and stands where the script has ***.
    Without the runner of a step nothing of it is logged.
    """
    runner = runner or Runner(Redactor(config.secrets))
    command, environment = psql_call(config, url)
    command += [f"--set={name}={text}" for name, text in (variables or {}).items()]
    runner.note(script.strip())
    with NamedTemporaryFile("r", encoding="utf-8", errors="replace") as results:  # 0600
        done = runner.run(
            [*command, f"--output={results.name}"],
            environment=environment,
            stdin=script.replace(HIDDEN, hidden) if hidden else script,
            timeout_sec=_SCRIPT_SEC,
        )
        lines = [line.rstrip("\n") for line in results]
    for line in lines:
        runner.note("  " + line)
    return done, lines


def psql_call(config: Config, url: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that reads a script from its input, and its environment."""
    bare, known = address(url)
    options = [
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
    ]
    return ["psql", *options, f"--dbname={bare}"], config.commands(**known, LC_ALL="C.UTF-8")


def psql(
    config: Config,
    url: str,
    script: str,
    variables: Mapping[str, str] | None = None,
    *,
    runner: Runner | None = None,
    hidden: str = "",
) -> list[str]:
    """Run a script of psql and return its lines. Raises DeployError with the database's words."""
    done, lines = run_psql(config, url, script, variables, runner=runner, hidden=hidden)
    if done.code:
        raise DeployError.of(
            "Database",
            f"psql ended with {done.code}\n{done.last_lines()}",
            "Check the database's address, password and state",
        )
    return lines


def values_of(lines: list[str], count: int) -> list[Any]:
    """Return the value of each line of JSON. Raises DeployError where it is not so many of them.

    >>> values_of(['{"a": 1}', "null"], 2)
    [{'a': 1}, None]
    """
    try:
        found = [json.loads(line) for line in lines]
    except ValueError:
        found = []
    if len(found) != count:
        raise DeployError.of(
            "Database",
            "the answer can't be read",
            "Read it in the step's log, and check that the address leads to the PostgreSQL server"
            " or its pooler, with nothing between that changes answers",
        )
    return found


# ---------------------------------------------------------------- schema


def lint(config: Config, runner: Runner) -> str:
    """Check every function of the schema, and return what was found: nothing wrong.

    Raises DeployError with the errors, or where the linter can't work.
    """
    done = _supabase(
        config, runner, "db", "lint", "--fail-on", "error", "--schema", SCHEMAS, *_target(config)
    )
    if "plpgsql_check" in done.output and done.code:
        raise DeployError.of(
            "supabase db lint",
            "needs the extension plpgsql_check, which the owner may not create here",
            "Run `create extension plpgsql_check` once as the database's administrator",
        )
    if done.code:
        raise DeployError.of(
            "supabase db lint",
            f"finds errors in the schema, or can't read it\n{done.last_lines()}",
            "Correct the functions in a new migration",
        )
    return "No errors in the functions of the schema"


def head(config: Config, runner: Runner | None = None) -> str | None:
    """Return the version of the newest migration that is applied; None before the first."""
    return max(_history(config, runner)[0], default=None)


def pending(config: Config, runner: Runner, folder: Path) -> list[str]:
    """Return the migrations of a folder's `supabase/` that the database does not have, in order.

    Raises DeployError where an applied file was edited, where a pending one is older than the
    newest that is applied, or where the database has one of another release besides pending ones.
    """
    applied, sums = _history(config, runner)
    files = _migrations(folder)
    waiting = [path for version, path in files.items() if version not in applied]
    problems = [
        Problem(path.name, "was edited after it was applied", "Restore it; write a new migration")
        for version, path in files.items()
        if version in applied and not _is_applied(path, applied[version], sums.get(version))
    ]
    newest = max(applied, default="")
    problems += [
        Problem(path.name, f"is older than the applied {newest}", "Give it a later version")
        for path in waiting
        if path.name < newest
    ]
    if waiting:
        problems += [
            Problem(
                version,
                "is applied, and this release has no such migration",
                "Deploy a newer release",
            )
            for version in applied
            if version not in files
        ]
    if problems:
        raise DeployError(*problems)
    names = [path.name for path in waiting]
    runner.note(f"pending migrations: {', '.join(names) or 'none'}")
    return names


def difference(config: Config, runner: Runner, reference_url: str) -> str:
    """Return the SQL by which the database differs from what its migrations make; '' if none.

    `reference_url` leads the owner to a throwaway database with the same migrations; its grants
    are brought to what the database's version knows. Only the schemas of the product count.
    """
    version, own = (
        values_of(psql(config, url, _SERVER, runner=runner), 1)[0]
        for url in (config[_OWNER], reference_url)
    )
    if version < _FIRST_WITH_MAINTAIN <= own:
        psql(config, reference_url, _WITHOUT_MAINTAIN, runner=runner)
    bare, _ = address(config[_OWNER])
    done = _supabase(
        config,
        runner,
        *("db", "diff", "--output-format", "json", "--schema", SCHEMAS),
        *("--from", reference_url, "--to", bare),
    )
    told = [line for line in done.output.splitlines() if line.startswith('{"diff"')]
    failed = DeployError.of(
        "supabase db diff",
        f"can't compare the database\n{done.last_lines()}",
        "Check SUPABASE_OWNER_URL, and run the step again",
    )
    if done.code or not told:
        raise failed
    try:
        return _SURROUNDINGS.sub("", json.loads(told[-1])["diff"]).strip()
    except ValueError:  # a message in the midst of it
        raise failed from None


def push(config: Config, runner: Runner, folder: Path, limit_sec: float = APPLY_SEC) -> list[str]:
    """Apply the pending migrations of a folder's `supabase/` and return their files, in order.

    The first ones need the login of the application: it is made with its password.
    Raises DeployError with the file that failed, the database's words and what was applied before;
    also where the command line does not end in time, which ends nothing on the server.
    """
    waiting = pending(config, runner, folder)
    if not waiting:
        return []
    if make_login(config, runner):
        runner.note("the login kis_api was made, with the password of SUPABASE_DB_URL")
    target = [*_target(config), "--workdir", str(folder.absolute())]
    done = _supabase(config, runner, "db", "push", "--yes", *target, limit_sec=limit_sec)
    left = pending(config, runner, folder)
    applied = [name for name in waiting if name not in left]
    if done.code == 0 and not left:
        return applied
    begun = _APPLYING.findall(done.output)
    raise DeployError.of(
        begun[-1] if begun else "supabase db push",
        f"was not applied, and left nothing of itself; applied before it: "
        f"{', '.join(applied) or 'none'}\n{done.last_lines()}",
        "Correct the migration in a new release; the release before runs on what was applied",
    )


def _supabase(
    config: Config, runner: Runner, *arguments: str, limit_sec: float = _COMMAND_SEC
) -> Result:
    _, known = address(config[_OWNER])
    program = cli(config, runner)
    try:
        return runner.run(
            [program, *arguments],
            environment=environment(config, **known),
            cwd=config.checkout,
            timeout_sec=limit_sec,
        )
    except DeployError as error:  # its time was over, and it was killed
        raise DeployError(*error.problems, _STILL_AT_WORK) from None


def _target(config: Config) -> list[str]:
    return [f"--remote={address(config[_OWNER])[0]}"]


def _history(
    config: Config, runner: Runner | None
) -> tuple[dict[str, list[str] | None], dict[str, str]]:
    """Return the statements of each applied migration, and our checksums of some."""
    applied, sums = values_of(psql(config, config[_OWNER], _HISTORY, runner=runner), 2)
    return applied, sums


def _migrations(folder: Path) -> dict[str, Path]:
    """Return the files by version, in order. Raises DeployError for a file with another name."""
    found = {}
    for path in sorted((folder / "supabase/migrations").glob("*.sql")):
        named = _FILE.fullmatch(path.name)
        if named is None or named[1] in found:
            raise DeployError.of(
                path.name, "is no migration's name, or its version is taken", "Rename the file"
            )
        found[named[1]] = path
    return found


def _is_applied(path: Path, statements: list[str] | None, recorded: str | None) -> bool:
    """Whether a file is what was applied: by our checksum, or by the CLI's record of statements."""
    text = path.read_text(encoding="utf-8")  # git may write either kind of line ends
    if recorded is not None or statements is None:
        return recorded in {None, hashlib.sha256(text.encode()).hexdigest()}
    return _bare(text) == _bare("".join(statements))


def _bare(text: str) -> str:
    return re.sub(r"[\s;]+", "", text)


# ---------------------------------------------------------------- installation


def installation(config: Config, runner: Runner | None = None) -> dict[str, Any] | None:
    """Return whose database this is: id, environment, bucket, projectRef; None if it has no table.

    Raises DeployError where it can't be read.
    """
    found: dict[str, Any] | None
    [found] = values_of(psql(config, config[_OWNER], _INSTALLATION, runner=runner), 1)
    return found


def claim_installation(config: Config, runner: Runner | None = None) -> None:
    """Write environment, bucket and project into the database where it does not know them yet.

    What it knows stays: `crosscheck` refuses a database of another environment.
    """
    values = {
        "environment": config["APP_ENV"],
        "bucket": config["STORAGE_BUCKET"],
        "project_ref": config["SUPABASE_PROJECT_REF"],
    }
    psql(config, config[_OWNER], _CLAIM, values, runner=runner)


def make_login(config: Config, runner: Runner | None = None) -> bool:
    """Make the application's login where there is none, with the password of SUPABASE_DB_URL.

    Returns whether it was made; the password of an existing one is never changed. `psql` encrypts
    the password, so that no log of the database has it.
    """
    [there] = values_of(psql(config, config[_OWNER], _HAS_LOGIN, runner=runner), 1)
    if there:
        return False
    password = unquote(urlsplit(config["SUPABASE_DB_URL"]).password or "")
    psql(config, config[_OWNER], _LOGIN, runner=runner, hidden=password)
    return True
