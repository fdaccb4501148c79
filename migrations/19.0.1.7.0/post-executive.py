MODULE = "crm_key_account"
NAMES = (
    "cadence_alliance_executive",
    "cadence_partner_executive",
    "cadence_preferred_executive",
)
DAYS = 14


def migrate(cr, version):
    """Let overdue executive visits escalate, as in a new database: on the lines that
    came with the addon, where nobody has changed them since."""
    cr.execute(
        """
        UPDATE key_account_cadence line
           SET escalate_after_days = %s
          FROM ir_model_data data
         WHERE data.module = %s
           AND data.name = ANY(%s)
           AND data.model = 'key.account.cadence'
           AND line.id = data.res_id
           AND COALESCE(line.escalate_after_days, 0) = 0
           AND line.track = 'executive'
           -- by no person
           AND COALESCE(line.write_uid, 1) = 1
        """,
        [DAYS, MODULE, list(NAMES)],
    )
