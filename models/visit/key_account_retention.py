from dateutil.relativedelta import relativedelta

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..account import clock

# What a batch deletes from, in one transaction
BATCH = 500
# Words of people on closed visits. What they were to achieve and whether they did,
# ratings and days stay: figures count these.
NOTES = (
    "feedback",
    "needs",
    "next_step",
    "next_theme",
    "objections",
    "support_needed",
)
# Where words were that are required
GONE = "…"


class KeyAccountRetention(models.AbstractModel):
    """Deletes what a company doesn't keep any longer, batch by batch, each its own
    transaction. Without periods nothing is deleted, and nothing asked. Check-ins have
    their own (:meth:`key.account.check.in._delete_old`)."""

    _name = "key.account.retention"
    _description = "What Is Deleted after a Time"

    @api.model
    def _run(self, attempts):
        """Delete what is too old in each company that says so, as long as there is
        time: the rest goes the next night.

        :param attempts: see :mod:`..account.attempts`
        """
        companies = (
            self.env["res.company"]
            .sudo()
            .search(
                Domain("key_account_note_months", ">", 0)
                | Domain("key_account_judgement_months", ">", 0)
            )
        )
        for company in companies:
            for delete in (
                self._delete_notes,
                self._delete_stances,
                self._delete_evidence,
            ):
                while attempts.has_time and attempts(delete, company):
                    pass

    @api.model
    def _get_last_day(self, company, months):
        """Return the last day of which nothing is deleted, None: all is kept."""
        return months and clock.get_today(company) - relativedelta(months=months)

    @api.model
    def _delete_notes(self, company):
        """Delete a batch of notes, files and logs of closed visits, and what was said
        in their activities.

        :return: whether there may be more
        """
        day = self._get_last_day(company, company.key_account_note_months)
        if not day:
            return False
        visits = self.env["key.account.visit"].sudo()
        visits.flush_model()
        self.env["mail.activity"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT visit.id
                  FROM key_account_visit visit
                 WHERE visit.company_id = %(company)s
                   AND visit.state != 'planned'
                   AND COALESCE(visit.date_done, visit.date_cancelled,
                                visit.date_planned) < %(day)s
                   AND (COALESCE(%(notes)s) IS NOT NULL
                        OR (visit.complaint IS NOT NULL
                            AND visit.date_resolved IS NOT NULL)
                        OR EXISTS (SELECT FROM ir_attachment
                                    WHERE res_model = 'key.account.visit'
                                      AND res_id = visit.id)
                        OR EXISTS (SELECT FROM mail_message
                                    WHERE model = 'key.account.visit'
                                      AND res_id = visit.id)
                        OR EXISTS (SELECT FROM mail_activity
                                    WHERE key_account_visit_id = visit.id
                                      AND active IS NOT TRUE
                                      AND COALESCE(feedback, note) IS NOT NULL))
                 ORDER BY visit.id
                 LIMIT %(batch)s
                """,
                company=company.id,
                day=day,
                notes=SQL(", ").join(
                    SQL("visit.%s", SQL.identifier(name)) for name in NOTES
                ),
                batch=BATCH,
            )
        )
        old = visits.browse(id_ for (id_,) in rows)
        if not old:
            return False
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account_visit
                   SET complaint = CASE WHEN date_resolved IS NULL THEN complaint END,
                       %s
                 WHERE id = ANY(%s)
                """,
                SQL(", ").join(
                    SQL("%s = NULL", SQL.identifier(name)) for name in NOTES
                ),
                old.ids,
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE mail_activity
                   SET feedback = NULL, note = NULL
                 WHERE key_account_visit_id = ANY(%s) AND active IS NOT TRUE
                """,
                old.ids,
            )
        )
        for model, field in (("ir.attachment", "res_model"), ("mail.message", "model")):
            self.env[model].sudo().search(old._get_attached_domain(field)).unlink()
        self.env["mail.activity"].invalidate_model(["feedback", "note"])
        old.invalidate_recordset()
        return len(old) == BATCH

    @api.model
    def _delete_stances(self, company):
        """Forget a batch of stances of contacts whom nobody met or changed for long.

        A contact of all companies keeps it as long as one of those that keep its
        account would.

        :return: whether there may be more
        """
        months = company.key_account_judgement_months
        day = self._get_last_day(company, months)
        if not day:
            return False
        contacts = self.env["res.partner"].sudo()
        contacts.flush_model(["company_id", "commercial_partner_id", "stance"])
        self.env["key.account.visit"].flush_model()
        self.env["res.company"].flush_model(["key_account_judgement_months"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT contact.id
                  FROM res_partner contact
                 WHERE contact.stance IS NOT NULL
                   AND contact.write_date < %(day)s
                   AND (%(home)s = %(company)s OR contact.company_id IS NULL
                        AND NOT EXISTS (
                            SELECT FROM key_account card
                              JOIN res_company other ON other.id = card.company_id
                             WHERE card.partner_id = contact.commercial_partner_id
                               AND (COALESCE(other.key_account_judgement_months, 0) = 0
                                    OR other.key_account_judgement_months
                                       > %(months)s)))
                   AND NOT EXISTS (
                        SELECT FROM key_account_visit_contact_rel rel
                          JOIN key_account_visit visit ON visit.id = rel.visit_id
                         WHERE rel.contact_id = contact.id
                           AND visit.state = 'done'
                           AND visit.date_done >= %(day)s)
                 ORDER BY contact.id
                 LIMIT %(batch)s
                """,
                company=company.id,
                day=day,
                home=company._get_key_account_home_sql(SQL("contact.company_id")),
                months=months,
                batch=BATCH,
            )
        )
        old = contacts.browse(id_ for (id_,) in rows)
        old.with_context(tracking_disable=True).write({"stance": False})
        return len(old) == BATCH

    @api.model
    def _delete_evidence(self, company):
        """Delete a batch of the words by which somebody vouched for what is older. That
        it was vouched for, by whom and when, stays.

        :return: whether there may be more
        """
        day = self._get_last_day(company, company.key_account_judgement_months)
        if not day:
            return False
        old = (
            self.env["key.account.relationship.evidence"]
            .sudo()
            .search(
                [
                    ("company_id", "=", company.id),
                    ("date", "<", day),
                    ("note", "!=", GONE),
                ],
                limit=BATCH,
            )
        )
        old.note = GONE
        return len(old) == BATCH
