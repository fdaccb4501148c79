"""What a tiering run must come to, counted anew in plain Python."""

from datetime import timedelta

from dateutil.relativedelta import relativedelta

# For how long runs leave what was undone, if the minimum tenure is shorter
LEAST_HELD_DAYS = 30


def recount_figures(env, policy, company, today):
    """Return {customer's id: what the policy ranks by} of all accounts.

    :return: None for a metric that isn't recounted here
    """
    start = today - relativedelta(months=policy.window_months)
    books = company._get_key_account_branches()
    ordered = policy.revenue_basis == "ordered"
    figures = {}

    def add(partner, amount):
        key = partner.commercial_partner_id.id
        figures[key] = figures.get(key, 0) + amount

    for move in env["account.move"].search(
        [
            ("company_id", "in", books.ids),
            ("state", "=", "posted"),
            ("move_type", "in", ("out_invoice", "out_refund", "out_receipt")),
        ]
    ):
        counts = not ordered and start < move.invoice_date <= today
        counts = counts and policy.metric in ("revenue", "margin")
        # no product, so nothing is known of costs: all of it is margin
        add(move.commercial_partner_id, counts and move.amount_untaxed_signed)
    for order in env["sale.order"].search(
        [("company_id", "in", books.ids), ("state", "=", "sale")]
    ):
        counts = ordered and start < order.date_order.date() <= today
        amounts = {"revenue": order.amount_untaxed, "margin": order.margin}
        add(order.partner_id, counts and amounts.get(policy.metric, 0))
    for lead in (
        env["crm.lead"]
        .with_context(active_test=False)
        .search([("partner_id", "!=", False)])
    ):
        if lead._get_key_account_company() == company:
            is_open = lead.active and lead.won_status == "pending"
            counts = is_open and policy.metric == "expected_revenue"
            add(lead.partner_id, counts and lead.expected_revenue)
    users = env["res.users"].search([("share", "=", False)])
    outsiders = users.partner_id | env["res.company"].search([]).partner_id
    outsiders |= (
        env["key.account"]
        .search([("company_id", "=", company.id), ("is_excluded", "=", True)])
        .partner_id
    )
    for partner in outsiders:
        figures.pop(partner.id, None)
    return figures


def recount_tiers(policy, figures):
    """Return {customer's id: the tier that the figures suggest}.

    :param dict figures: {customer's id: figure}
    """
    tiers = [*policy._get_tiers()]
    total = sum(max(figure, 0) for figure in figures.values())
    result = {}
    for key, figure in figures.items():
        better = [other for other in figures.values() if other > figure]
        if figure <= 0:
            result[key] = tiers[-1].id
            continue
        for tier in tiers:
            if policy.method == "threshold":
                holds = figure >= tier.threshold
            elif policy.method == "pyramid":
                holds = len(better) * 100 < round(tier.share, 2) * len(figures)
            else:
                before = sum(max(other, 0) for other in better)
                holds = before * 100 < round(tier.share, 2) * total
            if holds:
                break
        result[key] = tier.id
    return result


def recount_held(policy, company, today):
    """Return the moves that runs leave undone, as (customer's id, the tier it has, the
    one it would get): until somebody changes the policy, and for a month at least."""
    changed = max(
        record.write_date
        for records in (policy, policy.tier_ids, policy.criterion_ids)
        for record in records
    )
    days = max(policy.min_tenure_days, LEAST_HELD_DAYS)
    return {
        (change.partner_id.id, change.to_tier_id.id or None, change.from_tier_id.id)
        for change in policy.env["key.account.tier.change"].search(
            [("company_id", "=", company.id), ("undone_at", "!=", False)]
        )
        if change.undone_at >= changed and change.date > today - timedelta(days=days)
    }


def recount_moves(policy, before, after, today, held=()):
    """Return {customer's id: the tier in force after a run}.

    :param dict before: {customer's id: its account} before the run
    :param dict after: the same, with what the run measured
    :param held: moves that somebody undid, see :func:`recount_held`
    """
    tiers = [*policy._get_tiers()]
    places = {tier.id: place for place, tier in enumerate(tiers)}
    figures = {key: row[policy.metric] for key, row in after.items()}
    suggested = {
        key: places[row["suggested_tier_id"]]
        for key, row in after.items()
        if row["suggested_tier_id"]
    }
    result = {}
    for key, row in after.items():
        old = before.get(key) or {}
        tier_id, to_id = old.get("tier_id"), row["suggested_tier_id"]
        locked = old.get("tier_locked_until")
        # what is no account has no tier, locked or not
        result[key] = None if row["is_excluded"] else tier_id
        if not to_id or to_id == tier_id or (locked and locked >= today):
            continue
        if not policy.auto_apply or (key, tier_id, to_id) in held:
            continue
        here, there = places.get(tier_id), suggested[key]
        since = old.get("tier_since")
        tenured = today - timedelta(days=policy.min_tenure_days)
        if here is not None and since and since > tenured:
            factor = policy.hysteresis / 100
            if there < here:
                edge = _get_upper_edge(policy, tiers, here, figures, suggested)
                is_clear = edge is None or figures[key] > edge * (1 + factor)
            else:
                edge = _get_lower_edge(policy, tiers, here, figures, suggested)
                is_clear = edge is None or figures[key] < edge * (1 - factor)
            if not is_clear:
                continue
        result[key] = to_id
    return result


def _get_upper_edge(policy, tiers, here, figures, suggested):
    """Return the figure above which an account leaves the tier: the next better one's
    threshold, or the best figure that stays here or below."""
    if policy.method == "threshold":
        return tiers[here - 1].threshold if here else None
    return max(
        (figures[key] for key, place in suggested.items() if place >= here),
        default=None,
    )


def _get_lower_edge(policy, tiers, here, figures, suggested):
    """Return the figure below which an account leaves the tier: its threshold, or the
    smallest figure that stays here or above."""
    if policy.method == "threshold":
        return tiers[here].threshold
    return min(
        (figures[key] for key, place in suggested.items() if place <= here),
        default=None,
    )
