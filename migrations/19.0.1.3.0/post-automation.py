import logging

from odoo.tools.sql import table_exists

_logger = logging.getLogger(__name__)

# The customers' fields that are computed from the account now
DECISIONS = [
    "account_tier_id",
    "account_tier_locked_until",
    "account_tier_lock_reason",
    "relationship_level",
    "account_value_type",
    "executive_sponsor_id",
    "visit_interval_days",
]


def migrate(cr, version):
    """Say which automation rules wait for something that doesn't come any more.

    They are told of changes of stored fields alone, which a customer's tier is no
    longer; the account's is. What a rule does with a customer, only its author can turn
    into doing it with an account.
    """
    if not table_exists(cr, "base_automation"):
        return
    cr.execute(
        """
        SELECT rule.id, rule.name ->> 'en_US',
               string_agg(field.name, ', ' ORDER BY field.name)
          FROM base_automation rule
          JOIN base_automation_ir_model_fields_rel rel
            ON rel.base_automation_id = rule.id
          JOIN ir_model_fields field ON field.id = rel.ir_model_fields_id
         WHERE rule.active
           AND field.model = 'res.partner'
           AND field.name = ANY(%s)
         GROUP BY rule.id, rule.name
         ORDER BY rule.id
        """,
        [DECISIONS],
    )
    for rule_id, name, fields in cr.fetchall():
        _logger.warning(
            "The automation rule “%s” (%s) waits for a change of these fields of "
            "customers: %s. They are kept on key accounts now: choose the model Key "
            "Account, and its fields, in this rule.",
            name,
            rule_id,
            fields,
        )
