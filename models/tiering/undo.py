"""A run is undone: its accounts go back to the tiers that they came from."""

from odoo.tools import SQL, split_every

from ...const import BATCH_SIZE
from ..account import clock
from .moves import Moves


class Undo:
    """What a run of a company has applied, and how to take it back.

    The history stays: each account that goes back gets a change that says so. Whom
    somebody has moved or locked since stays, and so does who was placed for the first
    time: there is nothing to go back to.

    :ivar company: the company of the run
    :ivar int number: the run, see :attr:`key.account.tier.change.run_number`
    """

    def __init__(self, company, number):
        # sudo: whoever decides may, whosever accounts they are
        self.company = company.sudo()
        self.env = self.company.env
        self.number = number

    def get_counts(self):
        """Return how many accounts would go back, and how many stay."""
        rows = self.env.execute_query(
            SQL(
                "SELECT is_same, COUNT(*) FROM (%s) AS moved GROUP BY is_same",
                self._get_moved_sql(),
            )
        )
        counts = dict(rows)
        return counts.get(True, 0), counts.get(False, 0)

    def get_kept(self, limit):
        """Return the customers that stay, no more than ``limit``."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT partner_id FROM (%s) AS moved
                 WHERE NOT is_same ORDER BY id LIMIT %s
                """,
                self._get_moved_sql(),
                limit,
            )
        )
        return self.env["res.partner"].browse(row[0] for row in rows)

    def run(self, reason, user, is_held=True):
        """Set tiers, and since when they hold, back; bring leads, relationships and due
        dates in line. Doesn't commit.

        :param str reason: why, for the history
        :param user: who decided
        :param bool is_held: whether the next runs leave it at that, see
            :meth:`.moves.Moves._get_wanted_moves_sql`; False: they go by the figures
        :return: the changes that say so
        """
        changes = self.env["key.account.tier.change"]
        rows = self.env.execute_query_dict(
            SQL("SELECT * FROM (%s) AS moved WHERE is_same", self._get_moved_sql())
        )
        if not rows:
            return changes
        today = clock.get_today(self.company)
        undone_at = is_held and self.env.cr.now()
        partner_ids = [row["partner_id"] for row in rows]
        self._give_back([row["id"] for row in rows])
        for batch in split_every(BATCH_SIZE, rows):
            changes |= changes.create(
                [
                    {
                        "partner_id": row["partner_id"],
                        "company_id": self.company.id,
                        "from_tier_id": row["to_tier_id"],
                        "to_tier_id": row["from_tier_id"],
                        "state": "applied",
                        "reason": reason,
                        "user_id": user.id,
                        "date": today,
                        "undone_at": undone_at,
                    }
                    for row in batch
                ]
            )
        self._follow(partner_ids, today)
        return changes

    def _get_moved_sql(self):
        """Return a query for the run's applied changes: their columns, and ``is_same``,
        whether the account is where the run has put it."""
        self.env["key.account.tier.change"].flush_model()
        self.env["key.account"].flush_model()
        return SQL(
            """
            SELECT change.id, change.partner_id, change.from_tier_id,
                   change.to_tier_id,
                   account.tier_id IS NOT DISTINCT FROM change.to_tier_id
                   AND account.id IS NOT NULL
                   AND COALESCE(account.tier_locked_until < %(today)s, TRUE)
                   AND NOT EXISTS (
                       SELECT FROM key_account_tier_change later
                        WHERE later.partner_id = change.partner_id
                          AND later.company_id = change.company_id
                          AND later.state = 'applied'
                          AND later.id > change.id) AS is_same
              FROM key_account_tier_change change
              LEFT JOIN key_account account
                     ON account.partner_id = change.partner_id
                    AND account.company_id = change.company_id
             WHERE change.company_id = %(company)s
               AND change.run_number = %(number)s
               AND change.state = 'applied'
            """,
            company=self.company.id,
            number=self.number,
            today=clock.get_today(self.company),
        )

    def _give_back(self, change_ids):
        if self.env["key.account"]._is_watched():
            self._give_watched_back(change_ids)
            return
        self.env.cr.execute(
            SQL(
                """
                UPDATE key_account account
                   SET tier_id = change.from_tier_id,
                       tier_since = CASE WHEN change.from_tier_id IS NOT NULL
                                         THEN change.from_since END
                  FROM key_account_tier_change change
                 WHERE change.id = ANY(%s)
                   AND account.partner_id = change.partner_id
                   AND account.company_id = change.company_id
                """,
                change_ids,
            )
        )
        self.env.invalidate_all(flush=False)

    def _give_watched_back(self, change_ids):
        """Do the same through the ORM, where an automation rule waits for it."""
        changes = self.env["key.account.tier.change"].browse(change_ids)
        accounts = self.env["key.account"].search(
            [
                ("partner_id", "in", changes.partner_id.ids),
                ("company_id", "=", self.company.id),
            ]
        )
        left = {
            change.partner_id: (change.from_tier_id, change.from_since)
            for change in changes
        }
        for (tier, since), same in accounts.grouped(
            lambda account: left[account.partner_id]
        ).items():
            same._give_tier(tier.id, tier and since)
        self.env.flush_all()

    def _follow(self, partner_ids, today):
        """Bring what depends on tiers in line, as a run does."""
        self.env.flush_all()
        policies = self.env["key.account.policy"].with_company(self.company)
        policy = policies._get_for_company(self.company)
        if policy:
            Moves(policy, self.company, today).update_leads()
            self.env.invalidate_all(flush=False)
        dues = self.env["key.account.due"]
        if dues._is_kept(self.company):
            dues._refresh(self.company, partner_ids, [])
            dues._refresh_leads(self.company)
        policies._run_relationships(self.company, partner_ids, today)
        self.env.invalidate_all(flush=False)
