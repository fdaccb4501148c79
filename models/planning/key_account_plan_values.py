import logging
from collections import defaultdict
from datetime import timedelta

import psycopg2.errors

from odoo import api, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.tools import SQL, mute_logger

from ...engine import buying_center
from ...engine import cadence as engine
from ..account import clock, features, words
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
                                 AND due.days = card.visit_interval_days
                            THEN due.days ELSE 0 END AS own_days,
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
        longest ago, and its contact. A fixed number of queries; none where the buying
        centre isn't used."""
        if not features.is_used(self.env, features.BUYING_CENTER):
            return
        cells_by_tier = self._get_cells({plan["tier_id"] for plan in plans})
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
    def _get_cells(self, tier_ids):
        """Return {tier id: [(role id or None, level or None)]} of the contacts that
        tiers ask for, in their order."""
        cells_by_tier = defaultdict(list)
        for cell in (
            self.env["key.account.tier.cell"]
            .sudo()
            .search_fetch(
                [("tier_id", "in", [id_ for id_ in tier_ids if id_])],
                ["tier_id", "role_id", "decision_level"],
            )
        ):
            cells_by_tier[cell.tier_id.id].append(
                (cell.role_id.id or None, cell.decision_level or None)
            )
        return cells_by_tier

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
                date=clock.format_day(self.env, loss.date),
                reason=loss.reason_id.name,
            )
        tier = self.env["key.account.tier"].browse(tier_id or [])
        line = self.env["key.account.cadence"].browse(line_id)
        interval = line._get_interval_text(own_days)
        if line.track == "executive":
            interval = self.env._("executive visit %s", interval)
        start = words.join_facts(self.env, (tier.name, interval))
        call = line.track == "contact"
        if not last_done:
            if call:
                return self.env._("%(start)s; no call yet", start=start)
            return self.env._("%(start)s; not visited yet", start=start)
        day = clock.format_day(self.env, last_done)
        if call:
            return self.env._("%(start)s; last call %(date)s", start=start, date=day)
        return self.env._("%(start)s; last visit %(date)s", start=start, date=day)

    def _create_batch(self, company, plans):
        """Create visits. Those that another transaction has planned in the meantime
        are left out; what is refused, by a rule or another addon, waits in the backlog
        with the reason, and keeps no other one from its visit.

        :raise psycopg2.OperationalError: on a conflict: a new transaction is needed
        """
        visits = self.env["key.account.visit"].sudo().with_company(company)
        if not plans:
            return visits.browse()
        problem = None
        try:
            # What fails here is expected: no error in the server's log.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return visits.create(
                    [{**plan, "mode": TRACK_MODES[plan["track"]]} for plan in plans]
                )
        except (psycopg2.OperationalError, ConcurrencyError):
            raise
        except psycopg2.errors.UniqueViolation as error:
            left = self._leave_out_planned(company, plans)
            if len(left) < len(plans):
                return self._create_batch(company, left)
            problem = error
        except Exception as error:
            problem = error
        if len(plans) == 1:
            self._note_refusal(company, plans[0], problem)
            return visits.browse()
        # Few are refused: halves find them in a few steps
        half = len(plans) // 2
        first = self._create_batch(company, plans[:half])
        return first | self._create_batch(company, plans[half:])

    def _create_free(self, company, plans):
        """Create the visits to whom nobody is working on at the moment: a transaction's
        first step. What has changed since the days were chosen is left out.

        :return: the plans of those who are busy
        """
        account_ids = [plan["partner_id"] for plan in plans if plan["partner_id"]]
        lead_ids = [plan["lead_id"] for plan in plans if not plan["partner_id"]]
        # in one order, and never waiting: whoever waits holds what others wait for
        partner_ids, free_lead_ids = (
            {
                row[0]
                for row in self.env.execute_query(
                    SQL("%s ORDER BY id FOR NO KEY UPDATE SKIP LOCKED", query)
                )
            }
            for query in (
                SQL(
                    """
                    SELECT partner_id FROM key_account
                     WHERE partner_id = ANY(%s) AND company_id = %s
                    """,
                    account_ids,
                    company.id,
                ),
                SQL("SELECT id FROM crm_lead WHERE id = ANY(%s)", lead_ids),
            )
        )
        asked = {
            row[:3]: row[3:]
            for row in self.env.execute_query(
                SQL(
                    """
                    SELECT partner_id, CASE WHEN partner_id IS NULL THEN lead_id END,
                           track, user_id, cadence_id
                      FROM key_account_due
                     WHERE company_id = %s
                       AND visit_id IS NULL
                       AND (partner_id = ANY(%s)
                            OR partner_id IS NULL AND lead_id = ANY(%s))
                    """,
                    company.id,
                    account_ids,
                    lead_ids,
                )
            )
        }
        free, busy = [], []
        for plan in plans:
            partner_id, lead_id = plan["partner_id"], plan["lead_id"]
            if not (partner_id in partner_ids or lead_id in free_lead_ids):
                busy.append(plan)
                continue
            key = (partner_id, None if partner_id else lead_id, plan["track"])
            if asked.get(key) == (plan["user_id"], plan["cadence_id"]):
                free.append(plan)
        self._create_batch(company, free)
        return busy

    @api.model
    def _leave_out_planned(self, company, plans):
        """Return those of ``plans`` that nobody has planned by now. This transaction
        sees what was there when it began, an index sees more: asked is another one."""
        self.env.flush_all()
        with self.env.registry.cursor() as cr:
            cr.execute(
                SQL(
                    """
                    SELECT partner_id, CASE WHEN partner_id IS NULL THEN lead_id END,
                           track
                      FROM key_account_visit
                     WHERE state = 'planned'
                       AND (partner_id = ANY(%s) AND company_id = %s
                            OR partner_id IS NULL AND lead_id = ANY(%s))
                    """,
                    [plan["partner_id"] for plan in plans if plan["partner_id"]],
                    company.id,
                    [plan["lead_id"] for plan in plans if not plan["partner_id"]],
                )
            )
            taken = set(cr.fetchall())
        return [
            plan
            for plan in plans
            if (
                plan["partner_id"],
                None if plan["partner_id"] else plan["lead_id"],
                plan["track"],
            )
            not in taken
        ]

    @api.model
    def _note_refusal(self, company, plan, error):
        """Note in the backlog that, and why, a visit was refused."""
        domain = [
            ("company_id", "=", company.id),
            ("partner_id", "=", plan["partner_id"]),
            ("track", "=", plan["track"]),
        ]
        if not plan["partner_id"]:
            domain.append(("lead_id", "=", plan["lead_id"]))
        rows = self.env["key.account.due"].sudo().search(domain)
        is_said = isinstance(error, UserError)
        _logger.warning(
            "The visit to %s was refused: %s",
            rows.display_name or plan["partner_id"] or plan["lead_id"],
            error,
            exc_info=None if is_said else error,
        )
        text = str(error).strip() if is_said else ""
        rows.write(
            {
                "reason": "refused",
                "refusal": (text or f"{type(error).__name__}: {error}")[:500],
            }
        )
