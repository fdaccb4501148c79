import logging
from collections import defaultdict
from datetime import timedelta

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_date, mute_logger

from ...engine import buying_center
from ...engine import cadence as engine
from ..account import clock
from .key_account_cadence import TRACK_MODES

_logger = logging.getLogger(__name__)


class KeyAccountPlanValues(models.AbstractModel):
    """What is planned becomes visits with their activities: whom to see there and why,
    in words, and the records themselves."""

    _name = "key.account.plan.values"
    _description = "Values of Planned Visits"

    @api.model
    def _prepare_plans(self, chosen):
        """Return the values of visits to what is due.

        :param dict chosen: {id of the row: values that planning or a person chose, the
            day among them}
        """
        if not chosen:
            return []
        rows = self.env.execute_query_dict(
            SQL(
                """
                SELECT due.id, due.partner_id, due.lead_id, due.company_id, due.user_id,
                       due.team_id, due.tier_id, due.engagement_stage,
                       due.relationship_level, due.cadence_id, due.track, due.loss_id,
                       due.date_due, due.date_escalated, due.account_user_id, due.days,
                       CASE WHEN due.track = 'visit'
                            THEN COALESCE(card.visit_interval_days, 0)
                            ELSE 0 END AS own_days,
                       last.date_done AS last_done
                  FROM key_account_due due
                  LEFT JOIN key_account card ON card.id = due.account_id
                  LEFT JOIN LATERAL (
                        SELECT MAX(date_done) AS date_done
                          FROM key_account_visit visit
                         WHERE visit.company_id = due.company_id
                           AND visit.track = due.track
                           AND visit.state = 'done'
                           AND (visit.partner_id = due.partner_id
                                OR due.partner_id IS NULL
                                   AND visit.lead_id = due.lead_id)
                      ) AS last ON TRUE
                 WHERE due.id = ANY(%(ids)s)
                 ORDER BY due.track DESC, due.partner_id, due.lead_id
                """,
                ids=list(chosen),
            )
        )
        plans = []
        for row in rows:
            due_id = row.pop("id")
            tolerance = engine.tolerance_days(row.pop("days"))
            plans.append(
                {
                    **row,
                    "state": "planned",
                    "date_latest": row["date_due"] + timedelta(days=tolerance),
                    **chosen[due_id],
                }
            )
        self._write_summaries(plans)
        self._choose_targets(
            self.env["res.company"].browse(plans[0]["company_id"]), plans
        )
        return plans

    @api.model
    def _choose_targets(self, company, plans):
        """Name in ``plans`` whom to see: the required cell of the tier that was seen
        longest ago, and its contact. A fixed number of queries."""
        tiers = self.env["key.account.tier"].sudo()
        cells_by_tier = {
            tier.id: [
                (cell.role_id.id or None, cell.decision_level or None)
                for cell in tier.cell_ids
            ]
            for tier in tiers.browse(
                {plan["tier_id"] for plan in plans} - {None, False}
            )
        }
        partner_ids = {
            plan["partner_id"]
            for plan in plans
            if plan["partner_id"] and cells_by_tier.get(plan["tier_id"])
        }
        if not partner_ids:
            return
        contacts = self._get_target_contacts(company, partner_ids)
        for plan in plans:
            target = plan["partner_id"] and buying_center.choose_target(
                cells_by_tier.get(plan["tier_id"], []),
                contacts[plan["partner_id"]],
                executive=plan["track"] == "executive",
            )
            if target:
                (role_id, level), contact = target
                plan["target_role_id"] = role_id
                plan["target_level"] = level
                plan["target_contact_id"] = contact and contact.id

    @api.model
    def _get_target_contacts(self, company, partner_ids):
        """Return {account id: contacts that can be met}."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH todays (company_id, today) AS (VALUES (%(company)s, %(today)s))
                SELECT contact.commercial_partner_id, contact.id,
                       ARRAY(SELECT role_id FROM key_account_buying_role_partner_rel
                              WHERE partner_id = contact.id),
                       contact.decision_level,
                       (SELECT MAX(visit.date_done)
                          FROM key_account_visit_contact_rel rel
                          JOIN key_account_visit visit ON visit.id = rel.visit_id
                         WHERE rel.contact_id = contact.id
                           AND visit.state = 'done'
                           AND visit.company_id = todays.company_id)
                  FROM res_partner contact
                  JOIN todays ON TRUE
                 WHERE contact.commercial_partner_id = ANY(%(partners)s)
                   AND (contact.decision_level IS NOT NULL OR EXISTS (
                        SELECT FROM key_account_buying_role_partner_rel rel
                         WHERE rel.partner_id = contact.id))
                   AND %(present)s
                """,
                company=company.id,
                today=clock.get_today(company),
                partners=list(partner_ids),
                present=self.env[
                    "key.account.relationship.criterion"
                ]._get_present_sql(),
            )
        )
        contacts = defaultdict(list)
        for account_id, contact_id, roles, level, last_met in rows:
            contacts[account_id].append(
                buying_center.Contact(contact_id, frozenset(roles), level, last_met)
            )
        return contacts

    def _write_summaries(self, plans):
        """Put the reasons in words, in the language of each salesperson."""
        texts = {}
        # all at once, as the reasons below need them
        self.env["key.account.loss"].browse(
            {plan["loss_id"] for plan in plans if plan["loss_id"]}
        ).mapped("reason_id.name")
        for plan in plans:
            user = self.env["res.users"].browse(plan["user_id"] or [])
            lang = user.lang or self.env.lang
            reason = (
                plan["cadence_id"],
                plan["tier_id"],
                plan.pop("own_days"),
                plan.pop("last_done"),
                plan["loss_id"],
            )
            if (lang, reason) not in texts:
                values = self.with_context(lang=lang)
                texts[lang, reason] = values._get_summary(*reason)
            plan["summary"] = texts[lang, reason]

    def _get_summary(self, line_id, tier_id, own_days, last_done, loss_id):
        """Return why a visit is planned, such as "Key account, weekly; last visit
        12 Nov"."""
        if loss_id:
            # sudo: whoever may plan the visit may say why
            loss = self.env["key.account.loss"].sudo().browse(loss_id)
            return self.env._(
                "Win back; lost %(date)s (%(reason)s)",
                date=self._format_short(loss.date),
                reason=loss.reason_id.name,
            )
        tier = self.env["key.account.tier"].browse(tier_id or [])
        line = self.env["key.account.cadence"].browse(line_id)
        interval = line._get_interval_text(own_days)
        if line.track == "executive":
            interval = self.env._("executive visit %s", interval)
        start = f"{tier.name}, {interval}" if tier else interval
        call = line.track == "contact"
        if not last_done:
            if call:
                return self.env._("%(start)s; no call yet", start=start)
            return self.env._("%(start)s; not visited yet", start=start)
        day = self._format_short(last_done)
        if call:
            return self.env._("%(start)s; last call %(date)s", start=start, date=day)
        return self.env._("%(start)s; last visit %(date)s", start=start, date=day)

    @api.model
    def _format_short(self, day):
        """Return a day as in "12 Nov", with the year if it was another one."""
        this_year = fields.Date.context_today(self).year
        return format_date(
            self.env,
            day,
            date_format="d MMM" if day.year == this_year else "d MMM y",
        )

    def _create_batch(self, company, plans):
        """Create visits. Those that another transaction has planned in the meantime
        are left out: the unique indexes tell."""
        visits = self.env["key.account.visit"].sudo().with_company(company)
        try:
            # The conflict is expected: no error in the server's log.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return visits.create(
                    [{**plan, "mode": TRACK_MODES[plan["track"]]} for plan in plans]
                )
        except (
            psycopg2.errors.UniqueViolation,
            psycopg2.errors.SerializationFailure,
            UserError,
        ) as error:
            if len(plans) == 1:
                # Planned by somebody else, or archived, since we looked.
                _logger.info("A visit was left out: %s", error)
                return visits.browse()
        made = visits.browse()
        for plan in plans:
            made |= self._create_batch(company, [plan])
        return made
