from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """What was said before evidence that somebody withdrew keeps nothing up any more.
    Executives have to meet somebody of the top level: the ladder is looked at anew."""
    cr.execute(
        """
        UPDATE key_account_relationship_evidence said
           SET date_withdrawn = GREATEST(said.date, later.date_withdrawn),
               withdrawn_user_id = later.withdrawn_user_id
          FROM (
                SELECT DISTINCT ON (said.id) said.id, later.date_withdrawn,
                       later.withdrawn_user_id
                  FROM key_account_relationship_evidence said
                  JOIN key_account_relationship_evidence later
                    ON later.partner_id = said.partner_id
                   AND later.company_id = said.company_id
                   AND later.criterion_id = said.criterion_id
                   AND later.date_withdrawn IS NOT NULL
                   AND (later.date, later.id) > (said.date, said.id)
                 WHERE said.date_withdrawn IS NULL
                   -- what was said after the withdrawal counts
                   AND said.create_date <= later.write_date
                 ORDER BY said.id, later.date_withdrawn
               ) AS later
         WHERE said.id = later.id
        """
    )
    env = api.Environment(cr, SUPERUSER_ID, {})
    env.invalidate_all(flush=False)
    for company in env["res.company"].search([]):
        env["key.account"]._update_relationships(company)
