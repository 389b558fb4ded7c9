"""The last words of a run: what it came to, and what to do next."""

from __future__ import annotations

from kis_deploy.report import Report

_BACK = 8  # the step
_AFTER_A_DEPLOYMENT = (
    "Monitor application logs",
    "Check error rates and performance: script/kis ops watch --minutes 60",
    "Verify E2E tests: script/test tests/test_e2e_supabase.py -v",
)


def verdict(report: Report, *, dry: bool) -> str:
    """Return the verdict on a run that has ended, the problems, and the next steps."""
    wrong = [f"  {p['what']}: {p['cause']}" for p in report.problems]
    parts = [_head(report, dry=dry)]
    if wrong:
        parts.append("\n".join(["What was wrong:", *wrong]))
    steps = (f"  {number}. {text}" for number, text in enumerate(_next(report, dry=dry), 1))
    parts.append("\n".join(["Next steps:", *steps]))
    return "\n\n".join(parts)


def _head(report: Report, *, dry: bool) -> str:
    kind = {"deploy": "DEPLOYMENT"}.get(report.mode, report.mode.upper())
    if report.result == "successful":
        if dry:
            return "✅ Dry run: nothing was changed"
        done = report.mode in {"deploy", "rollback"}
        return f"✅ 🎉 {kind} SUCCESSFUL!" if done else f"✅ {kind} DONE"
    if report.result == "rolled back":
        return f"❌ {kind} FAILED, v{report.previous} serves again"
    if report.result == "rollback failed":
        back = any(step.number == _BACK for step in report.steps)
        return f"❌ {kind} FAILED" + (", and so did going back" if back else "")
    return f"❌ {kind} {report.result.upper()}"


def _next(report: Report, *, dry: bool) -> list[str]:
    before = report.previous and f"v{report.previous}"
    goes_on = f"{before} goes on serving" if before else "Nothing was switched"
    undo = f"./DEPLOYMENT_SCRIPT.sh --rollback --to-tag {before}"
    if report.result == "successful":
        if dry:
            return ["Deploy: ./DEPLOYMENT_SCRIPT.sh"]
        if report.mode == "rollback":
            return [*_AFTER_A_DEPLOYMENT[:2], f"To undo it: {undo}"]
        if report.mode != "deploy":
            return ["Go on with what you were doing: docs/Deployment.md"]
        ready = "Keep rollback ready for 24 hours: ./DEPLOYMENT_SCRIPT.sh --rollback"
        return [*_AFTER_A_DEPLOYMENT, *([ready] if before else [])]
    return {
        "rolled back": ["Read the log of the step that failed", "Mend it, or cut a new release"],
        "failed": [goes_on, "Mend what is named above and run it again"],
        "cancelled": [goes_on, "Run it again when it may change things"],
        "interrupted": ["Run it again: it cleans up what was begun"],
        "rollback failed": [
            "docs/Runbook.md, Roll back: this needs a person now",
            *([f"What served before: {undo}"] if before and report.mode == "rollback" else []),
        ],
    }[report.result]
