import re

from odoo.tools import SQL

MODULE = "crm_key_account"


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
    _remove_favorites(env)
    # Their columns and tables go; core leaves the rows that tell of them.
    env["ir.model.constraint"].search(
        [("module.name", "=", MODULE), ("type", "=", "f")]
    ).unlink()


def _remove_favorites(env):
    """Remove the searches that people saved, of this addon's records or by its fields:
    they would end in an error."""
    favorites = env["ir.filters"].with_context(active_test=False).search([])
    for name, group in favorites.grouped("model_id").items():
        if name not in env:
            continue
        if env[name]._original_module == MODULE:
            group.unlink()
            continue
        fields = env[name]._fields.values()
        names = {field.name for field in fields if MODULE in field._modules}
        group.filtered(
            lambda favorite, names=names: (
                not names.isdisjoint(
                    re.findall(
                        r"\w+",
                        f"{favorite.domain} {favorite.context} {favorite.sort}",
                    )
                )
            )
        ).unlink()
