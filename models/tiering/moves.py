"""Which accounts leave their tier, and what follows."""

from dateutil.relativedelta import relativedelta

from odoo.tools import SQL, split_every

from ...const import BATCH_SIZE
from ..account.attempts import do_each
from .prospects import Prospects


class Moves:
    """The moves of a company's accounts, as measured, between the tiers of its policy.

    :ivar policy: the policy in force, in the environment of the run
    :ivar company: the company of the run
    :ivar date today: the day of the moves
    """

    def __init__(self, policy, company, today):
        self.policy = policy
        self.env = policy.env
        self.company = company
        self.today = today
        # who has been in a tier since then has been there for the minimum tenure
        self.tenured = today - relativedelta(days=policy.min_tenure_days)

    def apply(self):
        """Record a change for every account that moves and, with ``auto_apply``, give
        it the new tier. Who was placed for the first time, when it was measured, has
        nothing to remember.

        Changes are made through the ORM, in batches: automation rules and other addons
        hear of them.

        :return: the changes made
        """
        changes = self.env["key.account.tier.change"]
        moves = self._get_moves_sql()
        run_number = self._get_run_number()
        self._withdraw_proposals(moves)
        changes.invalidate_model(["state", "note", "date"])
        # what is the same of all
        measured = self.policy._prepare_measured(None, None)
        for batch in split_every(BATCH_SIZE, self._get_new_moves(moves)):
            vals_list = [
                {
                    "partner_id": move["partner_id"],
                    "company_id": self.company.id,
                    "from_tier_id": move["from_tier_id"],
                    "to_tier_id": move["to_tier_id"],
                    "state": "applied" if self.policy.auto_apply else "proposed",
                    "measured": {
                        **measured,
                        "before": move["earlier_figure"],
                        "figure": move["figure"],
                        "rank": move["rank"],
                    },
                    "earlier_figure": move["earlier_figure"],
                    "boundary": move["boundary"],
                    "from_since": move["from_since"],
                    "run_number": run_number,
                    "date": self.today,
                }
                for move in batch
            ]
            made = do_each(vals_list, changes.create, self.env)
            changes = changes.union(*made)
        if changes and self.policy.auto_apply:
            if self.env["key.account"]._is_watched():
                changes = self._give_watched_tiers(changes)
            else:
                self._give_tiers(changes)
        return changes

    def _get_run_number(self):
        """Return a number that no other run has: changes tell by it which run made
        them. Those of later runs are higher."""
        ((number,),) = self.env.execute_query(
            SQL("SELECT nextval('key_account_tier_change_id_seq')")
        )
        return number

    def _get_moves_sql(self):
        """Return a query for the accounts that leave their tier: ``partner_id``,
        ``from_tier_id``, ``from_since``, ``to_tier_id``, ``figure``, ``rank``,
        ``earlier_figure`` (the figure before this run) and ``boundary`` (the edge of
        the new tier that the account has crossed; NULL for those that come from
        nowhere, or from another policy).

        An account whose suggested tier differs from the one in force moves when it is
        not locked and

        - it has no tier yet, or one of another policy; or
        - it has been in its tier for the minimum tenure; or
        - it is clear of the boundary that it crosses by more than the hysteresis.

        The boundary is the edge of the tier that the account leaves, as the method
        has it.
        """
        method = self.policy._get_method()
        metric = SQL.identifier(method.figure or self.policy.metric)
        tiers = SQL(", ").join(
            SQL("(%s, %s, %s, %s)", tier.id, position, tier.threshold, tier.share)
            for position, tier in enumerate(method.tiers, start=1)
        )
        return SQL(
            """
            WITH tiers (id, position, threshold, share) AS (VALUES %(tiers)s),
                 bounds AS (%(bounds)s)
            SELECT card.partner_id, card.tier_id AS from_tier_id,
                   card.tier_since AS from_since,
                   card.suggested_tier_id AS to_tier_id,
                   card.%(metric)s AS figure, card.rank,
                   -- who wasn't measured has the figure that it had
                   CASE WHEN measure.partner_id IS NULL THEN card.%(metric)s
                        ELSE measure.earlier_figure END AS earlier_figure,
                   CASE WHEN suggested.position < current.position
                        THEN crossed.upper_edge
                        WHEN suggested.position > current.position
                        THEN crossed.lower_edge END AS boundary
              FROM key_account card
              JOIN tiers suggested ON suggested.id = card.suggested_tier_id
              LEFT JOIN tiers current ON current.id = card.tier_id
              LEFT JOIN bounds ON bounds.position = current.position
              -- the next tier on the side that the account comes from
              LEFT JOIN bounds crossed
                     ON crossed.position = suggested.position
                        + sign(current.position - suggested.position)
              LEFT JOIN key_account_measure measure
                     ON measure.partner_id = card.partner_id
             WHERE card.company_id = %(company)s
               AND card.tier_id IS DISTINCT FROM card.suggested_tier_id
               AND COALESCE(card.tier_locked_until < %(today)s, TRUE)
               AND %(free)s
            """,
            tiers=tiers,
            bounds=method.get_edges_sql(self.company),
            company=self.company.id,
            today=self.today,
            metric=metric,
            free=self._get_free_sql(metric),
        )

    def _get_free_sql(self, metric):
        """Return the condition that an account may leave its tier: of another policy,
        after the minimum tenure, or by more than the hysteresis.

        :param SQL metric: the column that the method goes by
        """
        return SQL(
            """
            (current.id IS NULL
             OR COALESCE(card.tier_since <= %(tenured)s, TRUE)
             OR CASE WHEN suggested.position < current.position
                     THEN COALESCE(card.%(metric)s >
                          bounds.upper_edge * (1 + %(hysteresis)s), TRUE)
                     ELSE COALESCE(card.%(metric)s <
                          bounds.lower_edge * (1 - %(hysteresis)s), TRUE)
                 END)
            """,
            metric=metric,
            tenured=self.tenured,
            hysteresis=self.policy.hysteresis / 100,
        )

    def _withdraw_proposals(self, moves):
        """A proposal that the figures no longer support leaves the queue; so does every
        proposal when the run applies by itself."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account_tier_change
                   SET state = 'rejected', note = %(withdrawn)s, date = %(today)s
                 WHERE id IN (
                       SELECT proposal.id
                         FROM key_account_tier_change proposal
                         LEFT JOIN (%(moves)s) AS move
                           ON move.partner_id = proposal.partner_id
                          AND move.to_tier_id = proposal.to_tier_id
                        WHERE proposal.state = 'proposed'
                          AND proposal.company_id = %(company)s
                          AND (%(auto_apply)s OR move.partner_id IS NULL))
                """,
                withdrawn=self.env._("Withdrawn: the figures changed."),
                today=self.today,
                company=self.company.id,
                auto_apply=self.policy.auto_apply,
                moves=moves,
            )
        )

    def _get_new_moves(self, moves):
        """Return the rows of ``moves`` to record: those that are wanted, and aren't
        proposed already."""
        return self.env.execute_query_dict(
            SQL(
                """
                SELECT *
                  FROM (%(moves)s) AS move
                 WHERE %(auto_apply)s OR NOT EXISTS (
                       SELECT FROM key_account_tier_change change
                        WHERE change.partner_id = move.partner_id
                          AND change.company_id = %(company)s
                          AND change.state = 'proposed')
                 ORDER BY partner_id
                """,
                company=self.company.id,
                moves=self._get_wanted_moves_sql(moves),
                auto_apply=self.policy.auto_apply,
            )
        )

    def _get_wanted_moves_sql(self, moves):
        """Return a query for the rows of ``moves`` without those that a manager said no
        to: who undid them (:mod:`.undo`), until the policy is changed, or, with
        ``auto_apply`` off, rejected them within the minimum tenure."""
        return SQL(
            """
            SELECT *
              FROM (%(moves)s) AS move
             WHERE NOT EXISTS (
                   SELECT FROM key_account_tier_change undone
                    WHERE undone.partner_id = move.partner_id
                      AND undone.company_id = %(company)s
                      AND undone.from_tier_id = move.to_tier_id
                      AND undone.to_tier_id IS NOT DISTINCT FROM move.from_tier_id
                      AND undone.undone_at >= %(changed)s
                      AND undone.date > %(held)s)
               AND (%(auto_apply)s OR NOT EXISTS (
                   SELECT FROM key_account_tier_change change
                    WHERE change.partner_id = move.partner_id
                      AND change.company_id = %(company)s
                      AND change.to_tier_id = move.to_tier_id
                      AND change.state = 'rejected'
                      AND change.user_id IS NOT NULL
                      AND change.date > %(tenured)s))
            """,
            company=self.company.id,
            changed=self.policy._get_change_date(),
            held=self.today - relativedelta(days=self.policy._get_held_days()),
            tenured=self.tenured,
            moves=moves,
            auto_apply=self.policy.auto_apply,
        )

    def _give_tiers(self, changes):
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account account
                   SET tier_id = to_tier_id, tier_since = %s
                  FROM key_account_tier_change change
                 WHERE change.id = ANY(%s)
                   AND account.partner_id = change.partner_id
                   AND account.company_id = change.company_id
                """,
                self.today,
                changes.ids,
            )
        )

    def _give_watched_tiers(self, changes):
        """Do the same through the ORM, where an automation rule waits for it.

        :return: the changes of those that have the tier: the others were refused
        """
        accounts = self.env["key.account"].search(
            [
                ("partner_id", "in", changes.partner_id.ids),
                ("company_id", "=", self.company.id),
            ]
        )
        tiers = {change.partner_id: change.to_tier_id for change in changes}
        by_tier = accounts.grouped(lambda account: tiers[account.partner_id])
        for tier, same in by_tier.items():
            same._give_tier(tier.id, self.today)
        refused = accounts.filtered(lambda a: a.tier_id != tiers[a.partner_id])
        vain = changes.filtered(lambda change: change.partner_id in refused.partner_id)
        changes -= vain
        vain.unlink()
        self.env["key.account"].flush_model()
        return changes

    def update_leads(self):
        """Give the company's leads the tier of their customer; without a customer, the
        tier that they would have (:mod:`.prospects`)."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_lead
                   SET account_tier_id = target.tier_id
                  FROM (SELECT lead.id,
                               -- of no company: no policy says which
                               CASE WHEN %(lead_company)s IS NULL THEN NULL
                               WHEN lead.partner_id IS NULL THEN %(prospective)s
                               ELSE account.tier_id
                               END AS tier_id
                          FROM crm_lead lead
                          LEFT JOIN crm_team team ON team.id = lead.team_id
                          LEFT JOIN res_users owner ON owner.id = lead.user_id
                          LEFT JOIN res_partner partner ON partner.id = lead.partner_id
                          LEFT JOIN key_account account
                                 ON account.partner_id = partner.commercial_partner_id
                                AND account.company_id = %(company)s
                         WHERE COALESCE(%(lead_company)s, %(company)s) = %(company)s
                       ) AS target
                 WHERE target.id = crm_lead.id
                   AND crm_lead.account_tier_id IS DISTINCT FROM target.tier_id
                """,
                prospective=Prospects(self.policy, self.company).get_tier_sql(),
                company=self.company.id,
                lead_company=self.env["crm.lead"]._get_key_account_company_sql(),
            )
        )
