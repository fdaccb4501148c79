"""One nightly job tiers and plans; before, they were two. What an administrator set on
these goes on: the interval, and that one of the two doesn't run."""

from odoo import SUPERUSER_ID, api

DAILY = (1, "days")
# for comparing intervals: a month is longer than four weeks
UNIT_DAYS = {"minutes": 1 / 1440, "hours": 1 / 24, "days": 1, "weeks": 7, "months": 30}


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    tiering = env.ref("crm_key_account.ir_cron_tiering", raise_if_not_found=False)
    planning = env.ref("crm_key_account.ir_cron_planning", raise_if_not_found=False)
    jobs = [job for job in (tiering, planning) if job]
    if not jobs or tiering == planning:
        return
    # a job that an administrator deleted doesn't run either
    running = [job for job in jobs if job.active]
    job = jobs[0]
    job.write(
        {
            "name": "Key Accounts: tier customers and plan visits",
            "model_id": env["ir.model"]._get_id("key.account.night"),
            "code": _get_code(running, tiering),
            "active": bool(running),
            **_get_interval(running or jobs),
        }
    )
    for other in jobs[1:]:
        action = other.ir_actions_server_id
        other.unlink()
        action.unlink()
    env["ir.model.data"]._update_xmlids(
        [
            {"xml_id": f"crm_key_account.{name}", "record": job, "noupdate": True}
            for name in ("ir_cron_tiering", "ir_cron_planning")
        ]
    )


def _get_code(running, tiering):
    """Return the job's code: all, or what wasn't switched off."""
    if len(running) == 1:
        if running[0] == tiering:
            return 'model._cron_night(["tiering", "relationships"])'
        return 'model._cron_night(["planning"])'
    return "model._cron_night()"


def _get_interval(jobs):
    """Return the interval that somebody set, the shorter one of two, with its next
    call, who runs it and how urgent it is."""
    chosen = min(
        jobs,
        key=lambda job: (
            (job.interval_number, job.interval_type) == DAILY,
            UNIT_DAYS[job.interval_type] * job.interval_number,
        ),
    )
    return {
        "interval_number": chosen.interval_number,
        "interval_type": chosen.interval_type,
        "nextcall": chosen.nextcall,
        "priority": chosen.priority,
        "user_id": chosen.user_id.id,
    }
