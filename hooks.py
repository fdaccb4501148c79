from odoo.tools import SQL


def uninstall_hook(env):
    """Take planned activities along, and let go of the tiers.

    Core would turn the activities into to-dos that nobody asked for, and stumble over
    the references when it deletes the tiers of the data files. Done activities stay in
    the customers' history.
    """
    activities = env["mail.activity"].search([("key_account_role", "!=", False)])
    # nobody's any more: deleting them cancels no visit
    activities.write({"key_account_visit_id": False, "key_account_role": False})
    activities.unlink()
    env.flush_all()
    env.cr.execute(
        "UPDATE crm_lead SET account_tier_id = NULL WHERE account_tier_id IS NOT NULL"
    )
    for table in (
        "commitment",
        "target",
        "visit",
        "loss",
        "cadence",
        "tier_change",
        "tier_cell",
        "relationship_evidence",
    ):
        env.cr.execute(SQL("DELETE FROM %s", SQL.identifier(f"key_account_{table}")))
    env.cr.execute("DELETE FROM key_account")
    env.invalidate_all()
