"""What is going on with an account: the best reason to spend time on it."""

from odoo.tools import SQL

from ...const import STAGE_NUMBERS
from . import clock
from .books import get_orders_sql
from .differing import write_differing


def update_engagement_stages(env, company, partner_ids=None):
    """Note what is going on with the accounts of ``company``, by the quotations that
    were sent to them and hold, orders that aren't invoiced yet, and open leads: the
    best reason to spend time on them counts. Two statements, and one for the leads
    whose quotation has expired.

    :param partner_ids: limits the accounts; None: all
    :return: ids of the customers whose stage changed
    """
    env.flush_all()
    if partner_ids is None:
        _update_leads(env, company)
    rows = env.execute_query(
        SQL(
            """
            WITH %(documents)s, best AS (
                SELECT partner_id, MIN(number) AS number
                  FROM documents
                 GROUP BY partner_id
            ), stages AS (
                SELECT card.id, card.partner_id, card.engagement_stage AS old_stage,
                       (ARRAY[%(stages)s])[COALESCE(best.number, %(target)s)]
                           AS stage
                  FROM key_account card
                  LEFT JOIN best ON best.partner_id = card.partner_id
                 WHERE card.company_id = %(company)s
                   AND (%(everybody)s OR card.partner_id = ANY(%(partner_ids)s))
            )
            SELECT id, partner_id, stage
              FROM stages
             WHERE old_stage IS DISTINCT FROM stage
            """,
            documents=_get_documents_sql(env, company, partner_ids),
            target=STAGE_NUMBERS["target"],
            stages=SQL(", ").join(SQL("%s", stage) for stage in STAGE_NUMBERS),
            company=company.id,
            everybody=partner_ids is None,
            partner_ids=list(partner_ids or []),
        )
    )
    write_differing(
        env["key.account"],
        ["engagement_stage"],
        [(account_id, stage) for account_id, _, stage in rows],
    )
    return [partner_id for _, partner_id, _ in rows]


def _get_documents_sql(env, company, partner_ids):
    """Return the expression ``documents``: quotations, orders and leads of customers
    with the number of the stage that they stand for."""
    return SQL(
        """
        documents AS (
            SELECT sale.firm_id AS partner_id,
                   CASE WHEN sale.state = 'sale' THEN %(contract)s
                        ELSE %(quotation)s END AS number
              FROM (%(orders)s) AS sale
             WHERE sale.company_id = ANY(%(books)s)
               AND (sale.state = 'sent'
                    AND COALESCE(sale.validity_date >= %(today)s, TRUE)
                    OR sale.state = 'sale'
                       AND sale.invoice_status IS DISTINCT FROM 'invoiced')
             UNION ALL
            SELECT partner.commercial_partner_id,
                   CASE WHEN lead.type = 'lead' THEN %(lead)s
                        ELSE %(opportunity)s END
              FROM crm_lead lead
              LEFT JOIN crm_team team ON team.id = lead.team_id
              LEFT JOIN res_users owner ON owner.id = lead.user_id
              JOIN res_partner partner ON partner.id = lead.partner_id
             WHERE lead.active
               AND lead.won_status = 'pending'
               AND %(lead_company)s = %(company)s
        )
        """,
        contract=STAGE_NUMBERS["contract"],
        quotation=STAGE_NUMBERS["quotation"],
        lead=STAGE_NUMBERS["lead"],
        opportunity=STAGE_NUMBERS["opportunity"],
        orders=get_orders_sql(partner_ids),
        today=clock.get_today(company),
        books=company._get_key_account_branches().ids,
        lead_company=env["crm.lead"]._get_key_account_company_sql(),
        company=company.id,
    )


def _update_leads(env, company):
    """Note what is going on with the leads whose quotations have expired: no event
    tells."""
    rows = env.execute_query(
        SQL(
            """
            SELECT DISTINCT lead.id
              FROM crm_lead lead
              JOIN sale_order sale ON sale.opportunity_id = lead.id
             WHERE lead.engagement_stage = 'quotation'
               AND sale.company_id = ANY(%s)
               AND sale.state = 'sent'
               AND sale.validity_date < %s
            """,
            company._get_key_account_branches().ids,
            clock.get_today(company),
        )
    )
    leads = env["crm.lead"].sudo().browse(row[0] for row in rows)
    env.add_to_compute(leads._fields["engagement_stage"], leads)
    leads.flush_recordset(["engagement_stage"])
