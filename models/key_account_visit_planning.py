import logging
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, float_round, format_date, mute_logger, split_every

from ..const import BATCH_SIZE, NO_RANK, STAGE_NUMBERS
from ..engine import buying_center, planner
from ..engine import cadence as engine
from .key_account_cadence import TRACK_MODES, TRACKS
from .key_account_mixin import get_account_key

_logger = logging.getLogger(__name__)

TRACK_KEYS = [key for key, _ in TRACKS]
# How much of a day's capacity a visit takes: four calls are as long as a visit.
MODE_LOADS = {
    "on_site": planner.VISIT_LOAD,
    "online": planner.VISIT_LOAD,
    "phone": planner.CALL_LOAD,
    "mail": planner.CALL_LOAD,
}
UNLIMITED = 10**9


class Due(NamedTuple):
    """An account (or a lead without one) that is to be visited on a track."""

    partner_id: int | None
    lead_id: int | None
    tier_id: int | None
    user_id: int | None
    own_interval: int
    last_done: object
    resume: object
    track: str = "visit"
    level: str | None = None
    sponsor_id: int | None = None
    # the account is lost, and this is the visit to win it back
    loss_id: int | None = None
    stage: str | None = None
    # since the last visit
    escalated: object = None
    # when an account that nobody visited so far was due first: planned, missed, waiting
    first_due: object = None

    def get_interval(self, line):
        """Return count and unit of the interval, the customer's own or the line's."""
        return line._get_interval(self.own_interval)

    def get_date_due(self, line, today):
        """Return when the account is due by ``line``."""
        count, unit = self.get_interval(line)
        return (
            engine.next_due(self.last_done, count, unit, self.resume)
            or self.first_due
            or engine.first_due(
                self.partner_id or self.lead_id,
                engine.interval_days(count, unit),
                today,
            )
        )


class KeyAccountVisit(models.Model):
    """The generator: what is due, for whom, on which day."""

    _inherit = "key.account.visit"

    # -------------------------------------------------------------------------
    # Generator
    # -------------------------------------------------------------------------

    @api.model
    def _generate(self, partners=None, company=None, today=None):
        """Plan the visits that are due within the horizon. Doesn't commit.

        Running it again, or twice at once, makes nothing twice.

        :param partners: customers to plan for; default: all, and the open leads that
            have no customer yet
        :param company: default: the current company
        :param date today: default: today in each salesperson's time zone
        :return: the visits made
        """
        company = company or self.env.company
        self = self.sudo()
        partner_ids = lead_ids = None
        if partners is not None:
            partner_ids = partners.sudo().commercial_partner_id.ids
            lead_ids = []
        self._prepare_plan(company, partner_ids, today)
        visits = self._plan(company, TRACK_KEYS, partner_ids, lead_ids, today)
        self._escalate(company, partner_ids, today)
        return visits

    @api.model
    def _cron_generate(self):
        """Plan for every company, with a commit after each batch."""
        cron = self.env["ir.cron"]
        for company in self.env["res.company"].search(
            [("key_account_planning", "=", True)]
        ):
            visits = self.with_company(company)
            try:
                with self.env.cr.savepoint():
                    self.env["key.account.target"]._freeze(company)
                    visits._prepare_plan(company)
                    due = visits._get_due(company, TRACK_KEYS)
                    plans, leftovers = visits._get_plans(company, due)
                    backlog = self.env["key.account.backlog"].sudo()
                    backlog._replace(company, leftovers, TRACK_KEYS)
            except Exception:
                # The other companies' visits don't depend on this one.
                _logger.exception("Planning visits of company %s failed", company.id)
                continue
            cron._commit_progress(remaining=len(plans))
            for batch in split_every(BATCH_SIZE, plans):
                visits._try("Planning visits", visits._create_batch, company, batch)
                if not cron._commit_progress(len(batch)):
                    return
            visits._try("Escalating visits", visits._escalate, company)
            cron._commit_progress()

    def _try(self, what, method, company, *args):
        """Do a part of the job; what fails, perhaps in another addon, must not keep the
        others from their visits."""
        try:
            with self.env.cr.savepoint():
                method(company, *args)
        except Exception:
            _logger.exception("%s of company %s failed", what, company.id)

    @api.model
    def _plan_now(self, partners, company):
        """Bring the planned visits of ``partners`` in line with the cadence at once,
        however far away they are: somebody has just decided about the customers."""
        if company.key_account_planning:
            visits = self.sudo()
            visits._close_outdated(company, partners.ids)
            visits._plan(company, TRACK_KEYS, partners.ids, [], horizon=False)

    @api.model
    def _prepare_plan(self, company, partner_ids=None, today=None):
        """Bring what is planned up to date, before more is planned."""
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                self.env["key.account"].sudo()._update_engagement_stages(
                    company, partner_ids
                )
        except psycopg2.errors.SerializationFailure:
            _logger.info("Another transaction updates the stages of engagement")
        self._mark_missed(company, partner_ids, today)
        self._close_outdated(company, partner_ids)
        self._close_off_route(company, partner_ids, today)

    @api.model
    def _plan(
        self, company, tracks, partner_ids=None, lead_ids=None, today=None, horizon=True
    ):
        """Plan what is due, and note in the backlog what fits on no day.

        :param partner_ids: accounts to plan for; None: all
        :param lead_ids: leads without account to plan for; None: all
        :param horizon: when False, plan whatever is due, however far away
        :return: the visits made
        """
        due = self._get_due(company, tracks, partner_ids, lead_ids)
        plans, leftovers = self._get_plans(company, due, today, horizon)
        self.env["key.account.backlog"].sudo()._replace(
            company, leftovers, tracks, partner_ids, lead_ids
        )
        visits = self.browse()
        for batch in split_every(BATCH_SIZE, plans):
            visits |= self._create_batch(company, batch)
        return visits

    @api.model
    def _close_outdated(self, company, partner_ids=None):
        """Close generated visits that the cadence doesn't ask for any more: the
        customer's tier or level changed, or there is no line for it, or the customer is
        lost or came back. What a person moved stays, and so does the visit to win a
        customer back. The generator plans anew where another line asks for a visit."""
        # those who left on a day that was in the future when it was entered
        leaving = Domain("company_id", "=", company.id) & Domain(
            "target_contact_id.left_company_date", "!=", False
        )
        if partner_ids is not None:
            leaving &= Domain("partner_id", "in", partner_ids)
        self._follow_contacts(leaving)
        self.env.flush_all()
        lines = self.env["key.account.cadence"]._get_lines(company)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT visit.id, COALESCE(card.tier_id, lead.account_tier_id),
                       COALESCE(card.relationship_level, lead.relationship_level,
                                'transactional'),
                       COALESCE(card.engagement_stage, lead.engagement_stage,
                                'target'),
                       loss.id
                  FROM key_account_visit visit
                  LEFT JOIN key_account_loss loss
                         ON loss.partner_id = visit.partner_id
                        AND loss.company_id = visit.company_id
                        AND loss.date_returned IS NULL
                  LEFT JOIN key_account card
                         ON card.partner_id = visit.partner_id
                        AND card.company_id = visit.company_id
                  LEFT JOIN crm_lead lead
                         ON lead.id = visit.lead_id AND visit.partner_id IS NULL
                 WHERE visit.company_id = %s
                   AND visit.state = 'planned'
                   -- generated: a cadence line asked for it
                   AND visit.date_due IS NOT NULL
                   AND visit.is_date_fixed IS NOT TRUE
                   AND (visit.loss_id IS DISTINCT FROM loss.id
                        OR loss.id IS NULL
                        AND (visit.tier_id IS DISTINCT FROM
                             COALESCE(card.tier_id, lead.account_tier_id)
                             OR COALESCE(visit.relationship_level, 'transactional') !=
                             COALESCE(card.relationship_level, lead.relationship_level,
                                      'transactional')
                             OR COALESCE(visit.engagement_stage, 'target') !=
                             COALESCE(card.engagement_stage, lead.engagement_stage,
                                      'target')
                             OR NOT visit.cadence_id = ANY(%s)
                             OR visit.cadence_id IS NULL))
                   AND (%s OR visit.partner_id = ANY(%s))
                """,
                company.id,
                lines.ids,
                partner_ids is None,
                partner_ids or [],
            )
        )
        visits = self.browse(row[0] for row in rows)
        tiers = self.env["key.account.tier"].browse(row[1] for row in rows if row[1])
        names = {tier.id: tier.name for tier in tiers}
        none = self.env._("none")
        levels = dict(
            self._fields["relationship_level"]._description_selection(self.env)
        )
        visits_by_reason = defaultdict(self.browse)
        stages = dict(self._fields["engagement_stage"]._description_selection(self.env))
        losses = self.env["key.account.loss"].browse(row[4] for row in rows if row[4])
        reasons = {loss.id: loss._get_visit_reason() for loss in losses}
        for visit, row in zip(visits, rows, strict=True):
            _, tier_id, level, stage, loss_id = row
            line = self._get_line(lines, tier_id, level, stage, visit)
            lost = loss_id or visit.loss_id
            if not lost and line and line == visit.cadence_id:
                continue
            reason = self.env._("The cadence changed")
            old_level = visit.relationship_level or "transactional"
            if lost:
                reason = reasons.get(loss_id, self.env._("The customer came back"))
            elif level != old_level:
                reason = self.env._(
                    "Relationship level changed from %(old)s to %(new)s",
                    old=levels[old_level],
                    new=levels[level],
                )
            elif tier_id != (visit.tier_id.id or None):
                reason = self.env._(
                    "Tier changed from %(old)s to %(new)s",
                    old=visit.tier_id.name or none,
                    new=names.get(tier_id, none),
                )
            elif stage != (visit.engagement_stage or "target"):
                reason = self.env._(
                    "Stage changed from %(old)s to %(new)s",
                    old=stages[visit.engagement_stage or "target"],
                    new=stages[stage],
                )
            visits_by_reason[reason] |= visit
        for reason, outdated in visits_by_reason.items():
            for batch in split_every(BATCH_SIZE, outdated.ids, self.browse):
                batch._close(reason)
        self._refresh_stages(company, partner_ids)

    @api.model
    def _refresh_stages(self, company, partner_ids=None):
        """Note on planned visits what is going on with the customer today, which orders
        the visits of a day."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account_visit visit
                   SET engagement_stage = stages.stage
                  FROM (
                        SELECT planned.id, COALESCE(card.engagement_stage,
                               lead.engagement_stage, 'target') AS stage
                          FROM key_account_visit planned
                          LEFT JOIN key_account card
                                 ON card.partner_id = planned.partner_id
                                AND card.company_id = planned.company_id
                          LEFT JOIN crm_lead lead
                                 ON lead.id = planned.lead_id
                                AND planned.partner_id IS NULL
                         WHERE planned.company_id = %(company)s
                           AND planned.state = 'planned'
                           AND (%(all)s OR planned.partner_id = ANY(%(partners)s))
                       ) AS stages
                 WHERE visit.id = stages.id
                   AND visit.engagement_stage IS DISTINCT FROM stages.stage
             RETURNING visit.id
                """,
                company=company.id,
                all=partner_ids is None,
                partners=list(partner_ids or []),
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        self.browse(ids).invalidate_recordset(["engagement_stage"])

    @api.model
    def _close_off_route(self, company, partner_ids=None, today=None):
        """Close visits that were planned for a day on which their salesperson would be
        near, where the others of that day have gone. The generator looks for another
        day. What a person moved stays."""
        domain = Domain("company_id", "=", company.id) & Domain(
            [
                ("state", "=", "planned"),
                ("cadence_id.on_route", "=", True),
                ("is_date_fixed", "=", False),
                ("user_id", "!=", False),
            ]
        )
        if partner_ids is not None:
            domain &= Domain("partner_id", "in", partner_ids)
        visits = self.search(domain)
        if not visits:
            return
        nearness = company._get_key_account_nearness()
        booked = self._get_booked(visits.user_id, with_areas=True)
        anchors = defaultdict(list)
        for user_id, others in booked.items():
            for other in others:
                # as the planner does: a call is no trip
                if other.on_site and not other.on_route:
                    anchors[user_id, other.day].append(other.area)
        keys = {visit: visit._get_account_key()[:2] for visit in visits}
        areas = self._get_areas(keys.values())
        stray = visits.filtered(
            lambda visit: (
                visit.date_planned >= (today or visit._get_today())
                and not any(
                    nearness.is_near(areas.get(keys[visit], planner.NOWHERE), area)
                    for area in anchors[visit.user_id.id, visit.date_planned]
                )
            )
        )
        stray._close(self.env._("Nothing else to do nearby on that day"))

    @api.model
    def _get_line(self, lines, tier_id, level, stage, visit):
        """Return the line that asks for a planned visit, as :meth:`_get_due` does."""
        account = visit.partner_id.with_company(visit.company_id)
        own_interval = account.visit_interval_days if visit.track == "visit" else 0
        return lines._match(tier_id, visit.track, own_interval, level, stage)

    @api.model
    def _get_due(
        self, company, tracks, partner_ids=None, lead_ids=None, include_planned=False
    ):
        """Return a list of (cadence line, :class:`Due`) of the accounts, and the leads
        without one, that have no planned visit on the track of the line; of all that
        the cadence asks for, with ``include_planned``.

        One query per track for accounts and one for leads.

        :param include_planned: also those that have one
        """
        lines = self.env["key.account.cadence"]._get_lines(company)
        result = []
        self.env.flush_all()
        for track in tracks:
            if track not in lines.mapped("track"):
                continue
            line_by_key = {}
            queries = []
            if partner_ids is None or partner_ids:
                queries.append(
                    self._get_due_accounts_sql(
                        company, track, partner_ids, include_planned
                    )
                )
            if lead_ids is None or lead_ids:
                queries.append(
                    self._get_due_leads_sql(company, track, lead_ids, include_planned)
                )
            for query in queries:
                for row in self.env.execute_query(query):
                    due = Due(*row)
                    # who is to be won back needs no line for the tier either
                    any_line = bool(due.own_interval or due.loss_id)
                    key = (due.tier_id, any_line, due.level, due.stage)
                    if key not in line_by_key:
                        line_by_key[key] = lines._match(
                            due.tier_id, track, any_line, due.level, due.stage
                        )
                    if line := line_by_key[key]:
                        result.append((line, due))
        return result

    def _get_history_sql(self, company, track, column):
        """Return a query for the last done visit, the day to come back and the day of
        an escalation per account (or lead). The day to come back counts when it was
        given after that visit, and not for a visit to win the account back: it may have
        returned since. An escalation counts until the next visit."""
        return SQL(
            """
            SELECT *,
                   CASE WHEN last_done IS NULL OR last_cancelled >= last_done
                        THEN last_resume END AS resume,
                   CASE WHEN last_done IS NULL OR last_escalated > last_done
                        THEN last_escalated END AS escalated,
                   CASE WHEN last_done IS NULL THEN first_asked END AS first_due
              FROM (
                    SELECT %(column)s,
                           MAX(date_done) FILTER (WHERE state = 'done') AS last_done,
                           MAX(date_cancelled)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL) AS last_cancelled,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE date_resume IS NOT NULL
                                       AND loss_id IS NULL))[1]
                               AS last_resume,
                           MAX(date_escalated) AS last_escalated,
                           MIN(date_due) FILTER (WHERE state IN ('planned', 'missed'))
                               AS first_asked
                      FROM key_account_visit
                     WHERE company_id = %(company)s
                       AND track = %(track)s
                       AND %(column)s IS NOT NULL
                     GROUP BY 1
                   ) AS closed
            """,
            column=SQL.identifier(column),
            company=company.id,
            track=track,
        )

    def _get_due_accounts_sql(self, company, track, partner_ids, include_planned=False):
        own_interval = SQL("0")
        if track == "visit":
            own_interval = SQL("COALESCE(card.visit_interval_days, 0)")
        return SQL(
            """
            SELECT card.partner_id, NULL::int, card.tier_id, partner.user_id,
                   %(own_interval)s, history.last_done,
                   -- GREATEST skips what is empty
                   CASE WHEN loss.id IS NULL THEN history.resume
                        ELSE GREATEST(loss.date_win_back, loss.resume) END,
                   %(track)s, COALESCE(card.relationship_level, 'transactional'),
                   card.executive_sponsor_id,
                   loss.id, card.engagement_stage,
                   GREATEST(history.escalated, backlog.date_escalated),
                   LEAST(history.first_due, backlog.date_due)
              FROM key_account card
              JOIN res_partner partner
                ON partner.id = card.partner_id
               AND partner.commercial_partner_id = partner.id
               AND partner.active
               AND (partner.company_id IS NULL OR partner.company_id = %(company)s)
              LEFT JOIN (%(history)s) AS history
                ON history.partner_id = card.partner_id
              LEFT JOIN (%(losses)s) AS loss ON loss.partner_id = card.partner_id
              LEFT JOIN key_account_backlog backlog
                ON backlog.partner_id = card.partner_id
               AND backlog.company_id = card.company_id
               AND backlog.track = %(track)s
             WHERE card.company_id = %(company)s
               AND (card.is_account OR card.tier_id IS NOT NULL OR %(own_interval)s > 0
                    OR card.relationship_level != 'transactional'
                    OR loss.id IS NOT NULL)
               -- nobody visits a lost account, but to win it back
               AND (loss.id IS NULL
                    OR %(track)s = 'visit'
                       AND loss.date_win_back IS NOT NULL
                       AND loss.is_done IS NOT TRUE)
               AND (%(everybody)s OR card.partner_id = ANY(%(partner_ids)s))
               AND (%(include_planned)s OR NOT EXISTS (
                   SELECT FROM key_account_visit planned
                    WHERE planned.partner_id = card.partner_id
                      AND planned.company_id = %(company)s
                      AND planned.track = %(track)s
                      AND planned.state = 'planned'))
             ORDER BY card.partner_id
            """,
            own_interval=own_interval,
            history=self._get_history_sql(company, track, "partner_id"),
            losses=self._get_losses_sql(company),
            company=company.id,
            everybody=partner_ids is None,
            partner_ids=list(partner_ids or []),
            track=track,
            include_planned=include_planned,
        )

    def _get_losses_sql(self, company):
        """Return a query for the lost accounts, and what came of winning them back:
        whether the visit took place, also a few days before the day that was asked
        for, and the day to come back if it was cancelled."""
        return SQL(
            """
            SELECT loss.id, loss.partner_id, loss.date_win_back,
                   win_back.is_done, win_back.resume
              FROM key_account_loss loss
              LEFT JOIN LATERAL (
                    SELECT BOOL_OR(state = 'done'
                                   AND (loss_id = loss.id
                                        OR date_done >= loss.date_win_back)) AS is_done,
                           (ARRAY_AGG(date_resume ORDER BY date_cancelled DESC, id DESC)
                               FILTER (WHERE state = 'cancelled'
                                       AND date_resume IS NOT NULL
                                       AND loss_id = loss.id))[1]
                               AS resume
                      FROM key_account_visit
                     WHERE partner_id = loss.partner_id
                       AND company_id = loss.company_id
                       AND track = 'visit'
                   ) AS win_back ON TRUE
             WHERE loss.company_id = %s
               AND loss.date_returned IS NULL
            """,
            company.id,
        )

    def _get_due_leads_sql(self, company, track, lead_ids, include_planned=False):
        return SQL(
            """
            SELECT NULL::int, lead.id, lead.account_tier_id, lead.user_id,
                   0, history.last_done, history.resume, %(track)s,
                   COALESCE(lead.relationship_level, 'transactional'), NULL::int,
                   NULL::int, lead.engagement_stage,
                   GREATEST(history.escalated, backlog.date_escalated),
                   LEAST(history.first_due, backlog.date_due)
              FROM crm_lead lead
              LEFT JOIN crm_team team ON team.id = lead.team_id
              LEFT JOIN res_users owner ON owner.id = lead.user_id
              LEFT JOIN (%(history)s) AS history ON history.lead_id = lead.id
              LEFT JOIN key_account_backlog backlog
                ON backlog.lead_id = lead.id
               AND backlog.partner_id IS NULL
               AND backlog.track = %(track)s
             WHERE lead.active
               AND lead.partner_id IS NULL
               AND lead.won_status = 'pending'
               AND lead.account_tier_id IS NOT NULL
               AND %(lead_company)s = %(company)s
               AND (%(everybody)s OR lead.id = ANY(%(lead_ids)s))
               AND (%(include_planned)s OR NOT EXISTS (
                   SELECT FROM key_account_visit planned
                    WHERE planned.lead_id = lead.id
                      AND planned.partner_id IS NULL
                      AND planned.track = %(track)s
                      AND planned.state = 'planned'))
             ORDER BY lead.id
            """,
            history=self._get_history_sql(company, track, "lead_id"),
            lead_company=self.env["key.account.policy"]._get_lead_company_sql(),
            company=company.id,
            everybody=lead_ids is None,
            lead_ids=list(lead_ids or []),
            track=track,
            include_planned=include_planned,
        )

    @api.model
    def _get_plans(self, company, due, today=None, horizon=True):
        """Return the values of the visits to plan, and of the backlog: what is due in
        the horizon and fits on no day.

        :param due: what :meth:`_get_due` returned
        :param horizon: when False, plan whatever is due, however far away
        """
        responsibles = self._get_responsibles(company, [item for _, item in due])
        users = self.env["res.users"].browse(
            {user_id for user_id, _ in responsibles.values() if user_id}
        )
        today_by_user = {
            user.id: today or self._get_user_today(user, company)
            for user in [*users, users.browse()]
        }
        horizon_days = company.key_account_horizon_days
        tiers = self.env["key.account.tier"].browse(
            {item.tier_id for _, item in due} - {None}
        )
        ranks = {tier.id: tier.sequence for tier in tiers}
        selected = defaultdict(dict)
        for line, item in due:
            user_id = responsibles[item][0]
            user_today = today_by_user[user_id]
            days = engine.interval_days(*item.get_interval(line))
            date_due = item.get_date_due(line, user_today)
            if horizon and date_due > user_today + timedelta(days=horizon_days):
                continue
            key = get_account_key(item.partner_id, item.lead_id, company.id, line.track)
            selected[user_id or False][key] = (
                planner.Due(
                    key,
                    date_due,
                    days,
                    ranks.get(item.tier_id, NO_RANK),
                    STAGE_NUMBERS.get(item.stage, NO_RANK),
                    MODE_LOADS[TRACK_MODES[line.track]],
                    line.on_route and TRACK_MODES[line.track] == "on_site",
                    on_site=TRACK_MODES[line.track] == "on_site",
                ),
                line,
                item,
            )
        if not selected:
            return [], []
        slots = self._get_slots(company, selected, today_by_user)
        plans, leftovers = [], []
        for line, item in due:
            user_id, team_id = responsibles[item]
            key = get_account_key(item.partner_id, item.lead_id, company.id, line.track)
            if key not in selected[user_id or False]:
                continue
            wanted = selected[user_id or False][key][0]
            slot = slots[user_id or False][key]
            values = {
                "partner_id": item.partner_id,
                "lead_id": item.lead_id,
                "company_id": company.id,
                "user_id": user_id or False,
                "team_id": team_id or False,
                "tier_id": item.tier_id,
                "engagement_stage": item.stage or "target",
                "cadence_id": line.id,
                "track": line.track,
                "date_due": wanted.date_due,
                "date_escalated": item.escalated,
            }
            user_today = today_by_user[user_id]
            if slot.day:
                tolerance = engine.tolerance_days(wanted.days)
                plans.append(
                    {
                        **values,
                        "relationship_level": item.level,
                        "loss_id": item.loss_id,
                        "state": "planned",
                        "date_planned": slot.day,
                        "date_latest": wanted.date_due + timedelta(days=tolerance),
                        "summary": (item, line),
                    }
                )
            elif wanted.date_due <= user_today + timedelta(days=horizon_days):
                leftovers.append(
                    {
                        **values,
                        "reason": slot.reason,
                        "overdue_ratio": float_round(
                            planner.overdue_ratio(
                                wanted.date_due, wanted.days, user_today
                            ),
                            precision_digits=2,
                        ),
                    }
                )
        self._write_summaries(plans)
        self._choose_targets(company, plans)
        return plans, leftovers

    @api.model
    def _get_slots(self, company, selected, today_by_user):
        """Return {user id: {key: slot}} by the planner.

        :param selected: {user id: {key: (planner.Due, cadence line, Due)}}
        """
        users = self.env["res.users"].browse(user_id for user_id in selected if user_id)
        end = max(
            max(wanted.date_due, today_by_user[user_id])
            for user_id, rows in selected.items()
            for wanted, _, _ in rows.values()
        )
        capacities = self._get_day_capacities(
            users,
            company,
            min(today_by_user[user_id] for user_id in selected),
            end + timedelta(days=engine.MAX_SEARCH_DAYS),
        )
        routed = any(
            wanted.on_route
            for rows in selected.values()
            for wanted, _, _ in rows.values()
        )
        booked = self._get_booked(users, with_areas=routed)
        waiting = self.env["key.account.backlog"].sudo()._get_waiting(users)
        areas = {}
        if routed:
            areas = self._get_areas(
                key[:2] for rows in selected.values() for key in rows
            )
        slots = {}
        for user_id, rows in selected.items():
            capacity = capacities[user_id]
            slots[user_id] = planner.plan(
                [
                    wanted._replace(area=areas.get(key[:2], planner.NOWHERE))
                    for key, (wanted, _, _) in rows.items()
                ],
                booked[user_id],
                {
                    # nobody's time is no limit: somebody has to be found first
                    day: int(visits * planner.VISIT_LOAD) if user_id else UNLIMITED
                    for day, visits in capacity.items()
                },
                today_by_user[user_id],
                company.key_account_horizon_days,
                [row for row in waiting[user_id] if row.key not in rows],
                company._get_key_account_nearness(),
            )
        return slots

    @api.model
    def _get_mode_load(self, mode):
        """Return how much of a day a visit takes, in quarters of a visit on site."""
        return MODE_LOADS[mode]

    @api.model
    def _get_booked(self, users, with_areas=False):
        """Return {user id: list of :class:`planner.Booked`} of what is planned for
        ``users``, in every company: they have one agenda. What they did today took its
        time too, and they were there: the job runs in the middle of somebody's day."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT visit.user_id, visit.partner_id, visit.lead_id, visit.company_id,
                       visit.track, visit.date_planned, visit.mode,
                       line.interval_count, line.interval_unit,
                       CASE WHEN visit.track = 'visit'
                            THEN account.visit_interval_days END,
                       COALESCE(line.on_route, FALSE),
                       CASE WHEN visit.state = 'done' THEN visit.id END,
                       visit.date_done, visit.engagement_stage,
                       COALESCE(tier.sequence, %s)
                  FROM key_account_visit visit
                  LEFT JOIN key_account_tier tier ON tier.id = visit.tier_id
                  LEFT JOIN key_account_cadence line ON line.id = visit.cadence_id
                  LEFT JOIN key_account account
                         ON account.partner_id = visit.partner_id
                        AND account.company_id = visit.company_id
                 WHERE visit.user_id = ANY(%s)
                   AND (visit.state = 'planned'
                        OR visit.state = 'done' AND visit.date_done >= %s)
                """,
                NO_RANK,
                users.ids,
                # where the day begins last
                fields.Date.today() - timedelta(days=1),
            )
        )
        keys = [get_account_key(*row[1:5]) for row in rows]
        areas = self._get_areas(key[:2] for key in keys) if with_areas else {}
        booked = defaultdict(list)
        for key, row in zip(keys, rows, strict=True):
            user_id = row[0]
            day, mode, count, unit, own, on_route, done_id, date_done = row[5:13]
            stage, tier_rank = row[13:]
            if done_id:
                # only its time and place: the account itself may be due again
                own, count, day = None, None, date_done
            days = own or (count and engine.interval_days(count, unit)) or 0
            booked[user_id].append(
                planner.Booked(
                    ("done", done_id) if done_id else key,
                    day,
                    days,
                    MODE_LOADS[mode],
                    on_route,
                    areas.get(key[:2], planner.NOWHERE),
                    mode == "on_site",
                    tier_rank,
                    STAGE_NUMBERS.get(stage, NO_RANK),
                )
            )
        return booked

    @api.model
    def _get_areas(self, keys):
        """Return {(account id, lead id): :class:`planner.Area`}; coordinates that are
        no place on earth don't count.

        :param keys: pairs of ids, 0 for none
        """
        keys = set(keys)
        names = ["country_id", "zip", "city"]
        partners = (
            self.env["res.partner"]
            .sudo()
            .with_context(active_test=False)
            .search_fetch(
                [("id", "in", [partner_id for partner_id, _ in keys if partner_id])],
                [*names, "partner_latitude", "partner_longitude"],
            )
        )
        leads = (
            self.env["crm.lead"]
            .sudo()
            .with_context(active_test=False)
            .search_fetch([("id", "in", [id_ for _, id_ in keys if id_])], names)
        )
        areas = {}
        for partner in partners:
            place = (partner.partner_latitude, partner.partner_longitude)
            if abs(place[0]) > 90 or abs(place[1]) > 180:
                place = (0.0, 0.0)
            areas[partner.id, 0] = self._get_area(partner, *place)
        for lead in leads:
            areas[0, lead.id] = self._get_area(lead)
        return areas

    @api.model
    def _get_area(self, record, latitude=0.0, longitude=0.0):
        return planner.Area(
            latitude,
            longitude,
            record.country_id.id or 0,
            (record.zip or "").replace(" ", ""),
            record.city or "",
        )

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
                today=self._get_user_today(self.env["res.users"], company),
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
            item, line = plan["summary"]
            user = self.env["res.users"].browse(plan["user_id"] or [])
            lang = user.lang or self.env.lang
            key = (
                lang,
                line,
                item.tier_id,
                item.own_interval,
                item.last_done,
                item.loss_id,
            )
            if key not in texts:
                texts[key] = self.with_context(lang=lang)._get_summary(line, item)
            plan["summary"] = texts[key]

    def _get_summary(self, line, item):
        """Return why a visit is planned, such as "Key account, weekly; last visit
        12 Nov"."""
        if item.loss_id:
            # sudo: whoever may plan the visit may say why
            loss = self.env["key.account.loss"].sudo().browse(item.loss_id)
            return self.env._(
                "Win back; lost %(date)s (%(reason)s)",
                date=self._format_short(loss.date),
                reason=loss.reason_id.name,
            )
        tier = self.env["key.account.tier"].browse(item.tier_id or [])
        interval = line.with_env(self.env)._get_interval_text(item.own_interval)
        if line.track == "executive":
            interval = self.env._("executive visit %s", interval)
        start = f"{tier.name}, {interval}" if tier else interval
        call = line.track == "contact"
        if not item.last_done:
            if call:
                return self.env._("%(start)s; no call yet", start=start)
            return self.env._("%(start)s; not visited yet", start=start)
        day = self._format_short(item.last_done)
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

    def _plan_activities(self, plans):
        """Create the activities of ``plans``; return values of the visits with them.

        Before the visits, so that neither needs an UPDATE; what core would compute
        and write afterwards is given along.
        """
        lines = self.env["key.account.cadence"].sudo()
        types = {
            key: lines.browse(key[0])._get_activity_type(key[1]).id
            for key in {(plan["cadence_id"], plan["track"]) for plan in plans}
        }
        Users = self.env["res.users"].sudo()
        names = {}
        for model, column in (("res.partner", "partner_id"), ("crm.lead", "lead_id")):
            records = (
                self.env[model]
                .sudo()
                .browse({plan[column] for plan in plans if plan[column]})
            )
            names[column] = {record.id: record.display_name for record in records}
        model_ids = {
            "partner_id": self.env["ir.model"]._get_id("res.partner"),
            "lead_id": self.env["ir.model"]._get_id("crm.lead"),
        }
        vals_list = []
        summaries = self._get_planned_summaries(plans)
        for plan_number, plan in enumerate(plans):
            column = "partner_id" if plan["partner_id"] else "lead_id"
            vals_list.append(
                {
                    "res_model_id": model_ids[column],
                    "res_id": plan[column],
                    "res_name": names[column][plan[column]],
                    "activity_type_id": types[plan["cadence_id"], plan["track"]],
                    "summary": summaries[plan_number],
                    "note": False,
                    "date_deadline": plan["date_planned"],
                    "user_id": plan["user_id"],
                    "user_tz": Users.browse(plan["user_id"] or []).tz,
                    "automated": True,
                    "is_key_account_visit": True,
                }
            )
        activities = (
            self.env["mail.activity"]
            .sudo()
            .with_context(mail_activity_quick_update=True)
            .create(vals_list)
        )
        partners = self.env["res.partner"].sudo()
        return [
            {
                **plan,
                "activity_id": activity.id,
                "mode": TRACK_MODES[plan["track"]],
                "account_user_id": partners.browse(plan["partner_id"] or []).user_id.id,
            }
            for plan, activity in zip(plans, activities, strict=True)
        ]

    def _get_planned_summaries(self, plans):
        """Return the activities' summaries: the reason and whom to see."""
        contacts = self.env["res.partner"].sudo()
        # all names by one query
        contacts.browse(
            {
                plan["target_contact_id"]
                for plan in plans
                if plan.get("target_contact_id")
            }
        ).mapped("name")
        summaries = []
        for plan in plans:
            user = self.env["res.users"].browse(plan["user_id"] or [])
            visits = self.with_context(lang=user.lang or self.env.lang)
            target = visits._get_target_text(
                contacts.browse(plan.get("target_contact_id") or []),
                visits.env["key.account.buying.role"].browse(
                    plan.get("target_role_id") or []
                ),
                plan.get("target_level"),
            )
            summaries.append(
                "; ".join(text for text in (plan["summary"], target) if text)
            )
        return summaries

    def _create_batch(self, company, plans):
        """Create visits. Those that another transaction has planned in the meantime
        are left out: the unique indexes tell."""
        visits = self.sudo().with_company(company)
        try:
            # The conflict is expected: no error in the server's log.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return visits.create(visits._plan_activities(plans))
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

    @api.model
    def _get_responsibles(self, company, due):
        """Return {due: (user id or False, team id or False)}.

        The salesperson, on the executive track the executive sponsor; if there is none,
        or one who left, the leader of the team: of the salesperson's own, else of the
        team of the account's latest lead or order. If there is no leader either,
        nobody: the visit goes to the unassigned list.
        """
        users = self.env["res.users"].browse(
            ({item.user_id for item in due} | {item.sponsor_id for item in due})
            - {None}
        )
        users = users.with_context(active_test=False)
        present = users.filtered(
            lambda user: user.active and not user.share and company in user.company_ids
        )
        team_by_user = self._get_user_teams(company, users)
        present_ids = set(present.ids)
        result = {}
        orphans = []
        for item in due:
            team = team_by_user.get(item.user_id)
            user_id = item.sponsor_id if item.track == "executive" else item.user_id
            if user_id in present_ids:
                result[item] = (user_id, team.id if team else False)
            else:
                orphans.append(item)
        team_by_account = self._get_account_teams(company, orphans)
        for item in orphans:
            team = team_by_user.get(item.user_id)
            team = team or team_by_account.get((item.partner_id, item.lead_id))
            leader = team.user_id if team else users.browse()
            if not leader.active or company not in leader.company_ids:
                leader = users.browse()
            result[item] = (leader.id, team.id if team else False)
        return result

    def _get_user_teams(self, company, users):
        """Return {user id: team}, for those who left also their former team."""
        members = (
            self.env["crm.team.member"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("user_id", "in", users.ids),
                    ("crm_team_id.company_id", "in", [company.id, False]),
                ],
                order="active, id desc",
            )
        )
        return {member.user_id.id: member.crm_team_id for member in members}

    def _get_account_teams(self, company, due):
        """Return {(partner id, lead id): team} by the latest lead or order."""
        if not due:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (1, 2) partner_id, lead_id, team_id
                  FROM (
                        SELECT partner.commercial_partner_id AS partner_id,
                               NULL::int AS lead_id, document.team_id, document.day
                          FROM (
                                SELECT partner_id, team_id, create_date AS day
                                  FROM crm_lead
                                 WHERE COALESCE(company_id, %(company)s) = %(company)s
                                 UNION ALL
                                SELECT partner_id, team_id, date_order
                                  FROM sale_order WHERE company_id = %(company)s
                               ) AS document
                          JOIN res_partner partner ON partner.id = document.partner_id
                         WHERE partner.commercial_partner_id = ANY(%(partner_ids)s)
                         UNION ALL
                        SELECT NULL, id, team_id, create_date
                          FROM crm_lead
                         WHERE id = ANY(%(lead_ids)s)
                       ) AS teams
                 WHERE team_id IS NOT NULL
                 ORDER BY 1, 2, day DESC
                """,
                company=company.id,
                partner_ids=[item.partner_id for item in due if item.partner_id],
                lead_ids=[item.lead_id for item in due if item.lead_id],
            )
        )
        teams = self.env["crm.team"].sudo()
        return {
            (partner_id, lead_id): teams.browse(team_id)
            for partner_id, lead_id, team_id in rows
        }
