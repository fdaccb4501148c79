from collections import defaultdict

from markupsafe import Markup

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..account import clock, words
from ..account.attempts import do_each

# How many of the latest visits a team leader is told of.
HISTORY_LENGTH = 5


class KeyAccountEscalation(models.AbstractModel):
    """Tells the sales team's leader of what is overdue for too long."""

    _name = "key.account.escalation"
    _description = "Escalation of Overdue Visits"

    @api.model
    def _escalate(self, company, partner_ids=None, today=None):
        """Tell the leaders of the sales teams, once, of visits that are overdue for
        longer than the cadence line allows: one activity each, with the history."""
        lines = self.env["key.account.cadence"]._get_lines(company)
        lines = lines.filtered(lambda line: line.escalate_after_days > 0)
        if not lines:
            return
        domain = Domain(
            [
                ("company_id", "=", company.id),
                ("cadence_id", "in", lines.ids),
                (
                    "date_due",
                    "<",
                    today or clock.get_latest_today(),
                ),
                ("date_escalated", "=", False),
            ]
        )
        if partner_ids is not None:
            domain &= Domain("partner_id", "in", partner_ids)
        Visits = self.env["key.account.visit"]
        visits = Visits.search(domain & Domain("state", "=", "planned"))
        rows = self.env["key.account.due"].sudo()
        rows = rows.search(domain & Domain("visit_id", "=", False))
        overdue = []
        leaders = (visits.team_id | rows.team_id).user_id
        companies = leaders._get_sales_companies()
        for record in [*visits, *rows]:
            record_today = today or clock.get_today(company, record.user_id)
            days = (record_today - record.date_due).days
            leader = record.team_id.user_id
            if (
                days > record.cadence_id.escalate_after_days
                and leader != record.user_id
                and company in companies.get(leader, ())
            ):
                overdue.append((record, days, record_today, leader))
        do_each(overdue, lambda part: self._tell(company, part), self.env)

    @api.model
    def _tell(self, company, overdue):
        """Give the leaders an activity for each of what is overdue.

        :param overdue: list of (visit or row of what is due, days overdue, today there,
            leader)
        """
        history = self._get_escalation_history(company, [row[0] for row in overdue])
        todo = self.env.ref("mail.mail_activity_data_todo")
        vals_list = []
        for record, days, record_today, leader in overdue:
            texts = self.with_context(lang=leader.lang or self.env.lang)
            name = record.user_id.name or texts.env._("nobody")
            vals_list.append(
                {
                    "document": record.partner_id or record.lead_id,
                    "company": company,
                    "key_account_visit_id": (
                        record.id if record._name == "key.account.visit" else False
                    ),
                    "activity_type_id": todo.id,
                    "summary": texts.env._(
                        "Visit %(days)s days late; salesperson: %(name)s",
                        days=days,
                        name=name,
                    )
                    if days != 1
                    else texts.env._("Visit 1 day late; salesperson: %s", name),
                    "note": texts._get_escalation_note(
                        record, history[record._get_account_key()]
                    ),
                    "date_deadline": record_today,
                    "user_id": leader.id,
                }
            )
        self.env["mail.activity"]._create_for_visits("escalation", vals_list)
        by_day = defaultdict(list)
        for record, _, record_today, _ in overdue:
            by_day[record_today].append(record)
        for day, records in by_day.items():
            for name in ("key.account.visit", "key.account.due"):
                self.env[name].sudo().browse(
                    record.id for record in records if record._name == name
                ).date_escalated = day

    @api.model
    def _get_escalation_history(self, company, records):
        """Return {key: latest closed visits}, by one query."""
        partners = self.env["res.partner"].union(*(row.partner_id for row in records))
        leads = self.env["crm.lead"].union(
            *(row.lead_id for row in records if not row.partner_id)
        )
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT id
                  FROM (
                        SELECT id, ROW_NUMBER() OVER (
                                   PARTITION BY track, partner_id,
                                   CASE WHEN partner_id IS NULL THEN lead_id END
                                   ORDER BY COALESCE(date_done, date_planned) DESC,
                                            id DESC) AS number
                          FROM key_account_visit
                         WHERE company_id = %s
                           AND state != 'planned'
                           AND (partner_id = ANY(%s)
                                OR partner_id IS NULL AND lead_id = ANY(%s))
                       ) AS numbered
                 WHERE number <= %s
                 ORDER BY number
                """,
                company.id,
                partners.ids,
                leads.ids,
                HISTORY_LENGTH,
            )
        )
        Visits = self.env["key.account.visit"]
        history = defaultdict(Visits.browse)
        for visit in Visits.browse(row[0] for row in rows):
            history[visit._get_account_key()] |= visit
        return history

    def _get_escalation_note(self, record, visits):
        """Return why somebody is told about ``record``, and the latest visits."""
        states = dict(visits._fields["state"]._description_selection(self.env))
        due = self.env._("Due since %s.", clock.format_day(self.env, record.date_due))
        reason = record._fields.get("reason")
        if reason and record.reason:
            reasons = dict(reason._description_selection(self.env))
            said = self.env._("%(text)s.", text=reasons[record.reason])
            due = words.join_said(self.env, (due, said))
        if not visits:
            never = self.env._("Never visited.")
            return Markup("<p>%s</p>") % words.join_said(self.env, (due, never))
        items = Markup().join(
            Markup("<li>%s: %s</li>")
            % (
                clock.format_day(self.env, visit.date_done or visit.date_planned),
                words.join_facts(
                    self.env,
                    (states[visit.state], visit.user_id.name, visit.close_reason),
                ),
            )
            for visit in visits.with_env(self.env)
        )
        return Markup("<p>%s</p><ul>%s</ul>") % (due, items)
