from odoo.tools import SQL

MODULE = "crm_key_account"
VISITS = "key_account_visit_action"
# Actions whose menus became filters of another one: {its name: (that one's, what it
# was limited to, as the inside of a domain)}
GONE = {
    "key_account_visit_action_to_report": (
        VISITS,
        "('state', '=', 'done'), ('report_date', '=', False)",
    ),
    "key_account_visit_action_unassigned": (
        VISITS,
        "('user_id', '=', False), ('state', '=', 'planned')",
    ),
    # tiers are in their policies: a favourite is any list's of tiers
    "key_account_tier_action": (None, ""),
}


def migrate(cr, version):
    """Favourites, home actions and own menus of actions that go, with this update, to
    the action whose filter they became. A favourite keeps what its action was limited
    to."""
    for name, (new_name, inner) in GONE.items():
        old_id, new_id = _get_id(cr, name), _get_id(cr, new_name)
        if not old_id or new_name and not new_id:
            continue
        cr.execute(
            SQL(
                """
                UPDATE ir_filters
                   SET action_id = %(new)s,
                       domain = CASE WHEN %(inner)s = '' THEN domain
                                WHEN btrim(substr(btrim(domain), 2), ' ]') = ''
                                THEN '[' || %(inner)s || ']'
                                ELSE '[' || %(inner)s || ', '
                                     || substr(btrim(domain), 2) END
                 WHERE action_id = %(old)s
                """,
                old=old_id,
                new=new_id,
                inner=inner,
            )
        )
        if not new_id:
            continue
        cr.execute(
            "UPDATE res_users SET action_id = %s WHERE action_id = %s", [new_id, old_id]
        )
        cr.execute(
            """
            UPDATE ir_ui_menu menu
               SET action = 'ir.actions.act_window,' || %s
             WHERE action = 'ir.actions.act_window,' || %s
               AND NOT EXISTS (
                       SELECT FROM ir_model_data
                        WHERE module = %s AND model = 'ir.ui.menu' AND res_id = menu.id)
            """,
            [new_id, old_id, MODULE],
        )


def _get_id(cr, name):
    cr.execute(
        """
        SELECT res_id FROM ir_model_data
         WHERE module = %s AND name = %s AND model = 'ir.actions.act_window'
        """,
        [MODULE, name],
    )
    row = cr.fetchone()
    return row and row[0]
