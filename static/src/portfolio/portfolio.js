import {Component, markRaw, onWillStart, useState} from "@odoo/owl";
import {
    DANGER_COLOR,
    GRID_COLOR,
    LABEL_COLOR,
    MUTED_COLOR,
    Picture,
    SUCCESS_COLOR,
    getPictureColor,
} from "@crm_key_account/portfolio/picture";
import {deserializeDate, serializeDate} from "@web/core/l10n/dates";
import {
    formatDate,
    formatFloat,
    formatInteger,
    formatMonetary,
} from "@web/views/fields/formatters";
import {Layout} from "@web/search/layout";
import {RPCError} from "@web/core/network/rpc";
import {_t} from "@web/core/l10n/translation";
import {formatList} from "@web/core/l10n/utils";
import {registry} from "@web/core/registry";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {useService} from "@web/core/utils/hooks";
import {useSetupAction} from "@web/search/action_hook";

const {DateTime} = luxon;

const ACCOUNTS_ACTION = "crm_key_account.key_account_action_portfolio";
const CHANGES_ACTION = "crm_key_account.key_account_tier_change_action";
const POLICIES_ACTION = "crm_key_account.key_account_policy_action";
// More bars than that aren't read
const SHOWN_BARS = 15;
const BAR_HEIGHT = 32;
const LONGEST_LABEL = 18;

/** First and last day of the periods that one chooses by name. */
const PERIODS = {
    this_year: (today) => [today.startOf("year"), today],
    last_year: (today) => {
        const year = today.minus({years: 1});
        return [year.startOf("year"), year.endOf("year")];
    },
    three_months: (today) => [today.minus({months: 3}).plus({days: 1}), today],
};

function formatPercent(value) {
    return typeof value === "number"
        ? `${formatFloat(value, {digits: [16, 1], trailingZeros: false})} %`
        : "–";
}

function nameValue(name, value) {
    return _t("%(name)s: %(value)s", {name, value});
}

/** For axes: the table has the whole name. */
function shorten(text) {
    return text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL - 1)}…` : text;
}

function formatNumber(value) {
    return formatFloat(value, {digits: [16, 1], trailingZeros: false});
}

/**
 * What carries the company, what leaks, and where the effort goes: the pictures answer a
 * sales director's questions in their order. The server has all the figures; what stands
 * for accounts opens them.
 */
export class Portfolio extends Component {
    static template = "crm_key_account.Portfolio";
    static components = {Layout, Picture};
    static props = {...standardActionServiceProps};

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.notification = useService("notification");
        this.requestId = 0;
        const saved = this.props.state?.portfolio || {};
        this.state = useState({
            data: null,
            risk: null,
            // The server refused: outside sales
            isRefused: false,
            companyId: false,
            teamId: false,
            userId: false,
            period: "window",
            dateFrom: false,
            dateTo: false,
            ...saved,
        });
        // Pictures that are shown as tables
        this.tables = new Set(saved.tables);
        useSetupAction({getLocalState: () => ({portfolio: this.getSaved()})});
        onWillStart(() => this.load());
        this.toggleTable = this.toggleTable.bind(this);
        this.open = this.open.bind(this);
    }

    getSaved() {
        const {companyId, teamId, userId, period, dateFrom, dateTo} = this.state;
        const tables = [...this.tables];
        return {companyId, teamId, userId, period, dateFrom, dateTo, tables};
    }

    get filters() {
        const {companyId, teamId, userId, dateFrom, dateTo} = this.state;
        return {
            company_id: companyId,
            team_id: teamId,
            user_id: userId,
            date_from: dateFrom,
            date_to: dateTo,
        };
    }

    async load() {
        const requestId = ++this.requestId;
        const call = (model, method, filters) =>
            this.orm.call(model, method, [], filters);
        let data = null;
        try {
            data = await call("key.account.portfolio", "get_portfolio", this.filters);
        } catch (error) {
            if (!(error instanceof RPCError) || requestId !== this.requestId) {
                throw error;
            }
            if (error.exceptionName === "odoo.exceptions.AccessError") {
                this.state.isRefused = true;
                return;
            }
            // What is shown stays; the sentence says what to change
            const message = error.data?.message || error.message;
            this.notification.add(message, {type: "danger"});
            if (!this.state.data) {
                Object.assign(this.state, {
                    companyId: false,
                    teamId: false,
                    userId: false,
                    period: "window",
                    dateFrom: false,
                    dateTo: false,
                });
                await this.load();
            }
            return;
        }
        if (requestId !== this.requestId) {
            return;
        }
        this.state.data = markRaw(data);
        this.state.risk = null;
        this.makePictures();
        if (data.state === "ok" && data.has_risk) {
            this.loadRisk(requestId, call);
        }
    }

    /** The rest doesn't wait for it. */
    async loadRisk(requestId, call) {
        const {company, period} = this.data;
        const risk = await call("key.account.risk", "get_risk", {
            ...this.filters,
            company_id: company.id,
            date_from: period.is_window ? false : period.first,
            date_to: period.is_window ? false : period.last,
        });
        if (requestId === this.requestId) {
            this.makeRiskPictures(risk);
            this.state.risk = markRaw(risk);
        }
    }

    get data() {
        return this.state.data;
    }

    get hasFilters() {
        return Boolean(this.data?.company);
    }

    // What the user does

    async setFilter(name, value) {
        this.state[name] = value;
        if (name === "companyId") {
            this.state.teamId = false;
            this.state.userId = false;
        }
        await this.load();
    }

    async setId(name, ev) {
        await this.setFilter(name, parseInt(ev.target.value) || false);
    }

    async setPeriod(period) {
        this.state.period = period;
        let days = [false, false];
        if (period in PERIODS) {
            days = PERIODS[period](DateTime.local()).map(serializeDate);
        } else if (period === "custom") {
            // What is shown, to be changed
            days = [this.data.period.first, this.data.period.last];
        }
        [this.state.dateFrom, this.state.dateTo] = days;
        await this.load();
    }

    toggleTable(name, isTable) {
        this.tables[isTable ? "add" : "delete"](name);
    }

    /** Open the accounts that a figure, bar or point stands for. */
    async open({name, domain}) {
        const {context} = this.data;
        const action = await this.action.loadAction(ACCOUNTS_ACTION, context);
        return this.action.doAction({
            ...action,
            name: name ? _t("Accounts: %s", name) : action.name,
            display_name: name,
            domain,
            context: {...context},
        });
    }

    async openChanges() {
        const action = await this.action.loadAction(CHANGES_ACTION);
        const {changes_domain} = this.data.moves;
        return this.action.doAction({...action, domain: changes_domain, context: {}});
    }

    openPolicy() {
        const {policy_id} = this.data;
        if (!policy_id) {
            return this.action.doAction(POLICIES_ACTION);
        }
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model: "key.account.policy",
            res_id: policy_id,
            views: [[false, "form"]],
        });
    }

    // What the template shows

    formatInteger(value) {
        return formatInteger(value);
    }

    formatMoney(value) {
        return formatMonetary(value, {currencyId: this.data.currency_id});
    }

    formatShort(value) {
        return formatMonetary(value, {
            currencyId: this.data.currency_id,
            humanReadable: true,
        });
    }

    formatNumber(value) {
        return formatNumber(value);
    }

    formatPercent(value) {
        return formatPercent(value);
    }

    get periodText() {
        const {first, last} = this.data.period;
        return _t("%(first)s to %(last)s", {
            first: formatDate(deserializeDate(first)),
            last: formatDate(deserializeDate(last)),
        });
    }

    get totals() {
        const {total} = this.data;
        return [
            [_t("Accounts"), formatInteger(total.count)],
            [_t("Revenue"), this.formatMoney(total.revenue)],
            [_t("Margin"), this.formatMoney(total.margin)],
            [_t("Visits"), formatInteger(total.visits)],
            [_t("Hours"), formatNumber(total.hours)],
        ];
    }

    /** Once per answer of the server: a picture is drawn anew when it is another. */
    makePictures() {
        this.pictures = {};
        if (this.data.state !== "ok") {
            return;
        }
        this.pictures = {
            pyramid: this.makePyramid(),
            curve: this.makeCurve(),
            effort: this.makeEffort(),
            load: this.makeLoad(),
            moves: this.makeMoves(),
        };
    }

    /** Of what the server says about risk and growth, whatever figures there are. */
    makeRiskPictures(risk) {
        const makeFigure = (figure) => ({
            id: figure.key,
            item: {name: figure.label, domain: figure.domain},
            className: figure.is_warning ? "text-danger" : "",
            figure,
            value: this.formatFigure(figure),
        });
        const makeTable = (kind) => {
            const figures = risk.figures
                .filter((figure) => figure.kind === kind)
                .map(makeFigure);
            return {
                figures,
                label: figures
                    .map(({figure, value}) => nameValue(figure.label, value))
                    .join("\n"),
                table: {
                    columns: [
                        {label: _t("What")},
                        {label: _t("How many"), isNumber: true},
                        {label: _t("Their revenue"), isNumber: true},
                    ],
                    rows: figures.map((row) => ({
                        id: row.id,
                        item: row.item,
                        hint: row.figure.formula,
                        warned: row.figure.is_warning && 1,
                        cells: [
                            row.figure.label,
                            row.value,
                            typeof row.figure.revenue === "number"
                                ? this.formatMoney(row.figure.revenue)
                                : "",
                        ],
                    })),
                },
            };
        };
        this.pictures.risk = makeTable("risk");
        this.pictures.growth = makeTable("growth");
        const {groups} = risk;
        const items = groups.map(({label, domain}) => ({name: label, domain}));
        this.pictures.concentration = {
            ...makeTable("concentration"),
            height: Math.max(160, groups.length * BAR_HEIGHT + 60),
            table: {
                columns: [
                    {label: _t("Corporate group")},
                    {label: _t("Accounts"), isNumber: true},
                    {label: _t("Revenue"), isNumber: true},
                    {label: "%", isNumber: true},
                ],
                rows: groups.map((group, index) => ({
                    id: group.id,
                    item: items[index],
                    warned: group.is_warning && 3,
                    cells: [
                        group.label,
                        formatInteger(group.accounts),
                        this.formatMoney(group.revenue),
                        formatPercent(group.share),
                    ],
                })),
            },
            isEmpty: !groups.length,
            hint:
                groups.length === 1
                    ? _t("One group alone makes all the revenue.")
                    : _t(
                          "Red: at least %s of the revenue, the limit in the settings.",
                          formatPercent(risk.limit)
                      ),
            getConfig: () => ({
                type: "bar",
                data: {
                    labels: groups.map(({label}) => shorten(label)),
                    datasets: [
                        {
                            label: _t("Share of the revenue (%)"),
                            backgroundColor: groups.map(({is_warning}) =>
                                is_warning ? DANGER_COLOR : getPictureColor(0)
                            ),
                            borderRadius: 3,
                            minBarLength: 3,
                            data: groups.map(({share}) => share),
                            items,
                        },
                    ],
                },
                options: {
                    indexAxis: "y",
                    scales: {
                        x: this.getAxis(_t("Share of the revenue (%)")),
                        y: this.getAxis("", {grid: {display: false}}),
                    },
                    plugins: {legend: {display: false}},
                },
            }),
        };
    }

    formatFigure({unit, value}) {
        if (unit === "percent") {
            return formatPercent(value);
        }
        if (Number.isInteger(value)) {
            return formatInteger(value);
        }
        return formatFloat(value, {digits: [16, 2]});
    }

    getAxis(title, values = {}) {
        const {ticks, ...others} = values;
        return {
            beginAtZero: true,
            border: {display: false},
            grid: {color: GRID_COLOR},
            title: {display: Boolean(title), text: title, color: LABEL_COLOR},
            ticks: {color: LABEL_COLOR, ...ticks},
            ...others,
        };
    }

    getPlugins(getLabel, values) {
        return {
            legend: {labels: {color: LABEL_COLOR, boxWidth: 12, ...values}},
            tooltip: {callbacks: {label: getLabel}},
        };
    }

    makePyramid() {
        const {tiers} = this.data;
        const measures = [
            ["count", _t("Accounts"), formatInteger],
            ["revenue", _t("Revenue"), (value) => this.formatMoney(value)],
            ["margin", _t("Margin"), (value) => this.formatMoney(value)],
            ["visits", _t("Visits"), formatInteger],
            ["hours", _t("Hours"), formatNumber],
        ];
        return {
            label: tiers
                .map(({name, shares}) => {
                    const figures = measures.map(
                        ([key, label]) => `${label} ${formatPercent(shares[key])}`
                    );
                    return nameValue(name, formatList(figures));
                })
                .join("\n"),
            table: {
                columns: [
                    {label: _t("Tier")},
                    ...measures.flatMap(([, label]) => [
                        {label, isNumber: true},
                        {label: "%", isNumber: true},
                    ]),
                ],
                rows: tiers.map((tier) => ({
                    id: tier.id || "none",
                    item: tier,
                    cells: [
                        tier.name,
                        ...measures.flatMap(([key, , format]) => [
                            format(tier[key]),
                            formatPercent(tier.shares[key]),
                        ]),
                    ],
                })),
            },
            getConfig: () => ({
                type: "bar",
                data: {
                    labels: tiers.map(({name}) => name),
                    datasets: measures.map(([key, label], index) => ({
                        label,
                        backgroundColor: getPictureColor(index),
                        borderRadius: 3,
                        // So that also a small share can be hit
                        minBarLength: 3,
                        data: tiers.map(({shares}) => shares[key]),
                        items: tiers,
                    })),
                },
                options: {
                    scales: {
                        x: this.getAxis("", {grid: {display: false}}),
                        y: this.getAxis(_t("Share (%)")),
                    },
                    plugins: this.getPlugins(({dataset, dataIndex}) => {
                        const [key, label, format] = measures.find(
                            (measure) => measure[1] === dataset.label
                        );
                        const tier = tiers[dataIndex];
                        const share = formatPercent(tier.shares[key]);
                        return nameValue(label, `${share} (${format(tier[key])})`);
                    }),
                },
            }),
        };
    }

    makeCurve() {
        const {curve, tiers, total} = this.data;
        const {points, few, few_share} = curve;
        const boundaries = [];
        let count = 0;
        let revenue = 0;
        for (const tier of tiers.filter(({id}) => id)) {
            count += tier.count;
            revenue += tier.positive;
            boundaries.push({
                tier,
                x: (100 * count) / total.count,
                y: total.positive ? (100 * revenue) / total.positive : 0,
            });
        }
        const describe = (item) =>
            _t("Accounts: %(count)s (%(share)s); revenue: %(revenue)s", {
                count: formatInteger(item.count),
                share: formatPercent(item.count_share),
                revenue: formatPercent(item.revenue_share),
            });
        const items = points.map((point) => ({
            name: _t("the best %s", formatInteger(point.count)),
            domain: point.domain,
        }));
        const label = few
            ? _t(
                  "Accounts that make %(few)s of the revenue: %(count)s of %(total)s (%(share)s)",
                  {
                      count: formatInteger(few.count),
                      total: formatInteger(total.count),
                      share: formatPercent(few.count_share),
                      few: formatPercent(few_share),
                  }
              )
            : _t("No revenue in this period");
        return {
            label,
            few: few && {name: label, domain: few.domain},
            hint: _t(
                "Diamonds: where the tiers in force end, and what their accounts make. " +
                    "Below the curve: better accounts are in a lower tier."
            ),
            table: {
                columns: [
                    {label: _t("Best accounts")},
                    {label: _t("% of accounts"), isNumber: true},
                    {label: _t("Revenue together"), isNumber: true},
                    {label: _t("% of revenue"), isNumber: true},
                ],
                rows: [
                    ...boundaries.map(({tier, x, y}) => ({
                        id: `tier_${tier.id}`,
                        item: tier,
                        className: "table-active",
                        cells: [
                            _t("Up to %s", tier.name),
                            formatPercent(x),
                            "",
                            formatPercent(y),
                        ],
                    })),
                    ...points.map((point, index) => ({
                        id: index,
                        item: items[index],
                        cells: [
                            formatInteger(point.count),
                            formatPercent(point.count_share),
                            this.formatMoney(point.revenue),
                            formatPercent(point.revenue_share),
                        ],
                    })),
                ],
            },
            getConfig: () => ({
                type: "scatter",
                data: {
                    datasets: [
                        {
                            label: _t("Best accounts first"),
                            showLine: true,
                            borderColor: getPictureColor(0),
                            backgroundColor: getPictureColor(0),
                            pointRadius: 2,
                            pointHitRadius: 8,
                            data: [
                                {x: 0, y: 0},
                                ...points.map((point) => ({
                                    x: point.count_share,
                                    y: point.revenue_share,
                                })),
                                ...(points.length ? [{x: 100, y: 100}] : []),
                            ],
                            items: [null, ...items, null],
                        },
                        {
                            label: _t("Tiers in force"),
                            borderColor: getPictureColor(1),
                            backgroundColor: getPictureColor(1),
                            pointStyle: "rectRot",
                            pointRadius: 6,
                            pointHitRadius: 8,
                            data: boundaries.map(({x, y}) => ({x, y})),
                            items: boundaries.map(({tier}) => tier),
                        },
                        // The boundaries as lines; no legend, nothing to hit
                        ...boundaries.map(({x}) => ({
                            isLine: true,
                            showLine: true,
                            borderColor: MUTED_COLOR,
                            borderDash: [4, 4],
                            borderWidth: 1,
                            pointRadius: 0,
                            pointHitRadius: 0,
                            data: [
                                {x, y: 0},
                                {x, y: 100},
                            ],
                        })),
                    ],
                },
                options: {
                    scales: {
                        x: this.getAxis(_t("Accounts (%)"), {min: 0, max: 100}),
                        y: this.getAxis(_t("Revenue (%)"), {min: 0, max: 100}),
                    },
                    plugins: this.getPlugins(
                        ({datasetIndex, dataIndex}) => {
                            if (datasetIndex === 0) {
                                const point = points[dataIndex - 1];
                                return point ? describe(point) : "";
                            }
                            const boundary = boundaries[dataIndex];
                            return boundary
                                ? nameValue(
                                      boundary.tier.name,
                                      `${formatPercent(boundary.x)} / ${formatPercent(
                                          boundary.y
                                      )}`
                                  )
                                : "";
                        },
                        {filter: ({datasetIndex}) => datasetIndex < 2}
                    ),
                },
            }),
        };
    }

    makeEffort() {
        const {effort} = this.data;
        const {points, count, groups, average_revenue, average_visits} = effort;
        const names = Object.fromEntries(effort.levels);
        // one for all: the company doesn't use levels
        const hasLevels = effort.levels.length > 1;
        const fits = {too_little: _t("Too little"), too_much: _t("Too much")};
        const levels = effort.levels.filter(([key]) =>
            points.some(({level}) => level === key)
        );
        const maxVisits = Math.max(average_visits, ...points.map(({visits}) => visits));
        const maxRevenue = Math.max(
            average_revenue,
            ...points.map(({revenue}) => revenue)
        );
        const makeLine = (label, data) => ({
            label,
            isLine: true,
            showLine: true,
            borderColor: MUTED_COLOR,
            borderDash: [4, 4],
            borderWidth: 1,
            pointRadius: 0,
            pointHitRadius: 0,
            data,
        });
        const average = _t(
            "Dashed: the averages of accounts with revenue or a visit (%(count)s). Revenue: %(revenue)s; visits: %(visits)s.",
            {
                revenue: this.formatMoney(average_revenue),
                visits: formatNumber(average_visits),
                count: formatInteger(count),
            }
        );
        return {
            label: _t(
                "Accounts with at least average revenue and fewer visits than average: %(little)s; with less revenue and more visits: %(much)s",
                {
                    little: formatInteger(groups.too_little.count),
                    much: formatInteger(groups.too_much.count),
                }
            ),
            height: 340,
            groups: Object.entries(fits).map(([key, name]) => ({
                key,
                name,
                count: formatInteger(groups[key].count),
                item: {name, domain: groups[key].domain},
                text: _t("%(revenue)s; visits: %(visits)s", {
                    revenue: this.formatMoney(groups[key].revenue),
                    visits: formatInteger(groups[key].visits),
                }),
            })),
            hint:
                points.length < count
                    ? `${average} ${_t(
                          "Drawn are the %(shown)s accounts with the most revenue or visits; the counts are of all.",
                          {shown: formatInteger(points.length)}
                      )}`
                    : average,
            table: {
                columns: [
                    {label: _t("Account")},
                    {label: _t("Revenue"), isNumber: true},
                    {label: _t("Visits"), isNumber: true},
                    ...(hasLevels ? [{label: _t("Relationship")}] : []),
                    {label: _t("Effort")},
                ],
                rows: points.map((point) => ({
                    id: point.id,
                    item: point,
                    cells: [
                        point.name,
                        this.formatMoney(point.revenue),
                        formatInteger(point.visits),
                        ...(hasLevels ? [names[point.level] || ""] : []),
                        fits[point.fit] || "",
                    ],
                })),
            },
            getConfig: () => ({
                type: "scatter",
                data: {
                    datasets: [
                        ...levels.map(([key, name]) => {
                            const own = points.filter(({level}) => level === key);
                            const index = effort.levels.findIndex(([k]) => k === key);
                            return {
                                label: name,
                                backgroundColor: getPictureColor(index, 0.7),
                                borderColor: getPictureColor(index),
                                pointRadius: 5,
                                data: own.map(({visits, revenue}) => ({
                                    x: visits,
                                    y: revenue,
                                })),
                                items: own,
                            };
                        }),
                        makeLine(_t("Average revenue"), [
                            {x: 0, y: average_revenue},
                            {x: maxVisits, y: average_revenue},
                        ]),
                        makeLine(_t("Average visits"), [
                            {x: average_visits, y: 0},
                            {x: average_visits, y: maxRevenue},
                        ]),
                    ],
                },
                options: {
                    scales: {
                        x: this.getAxis(_t("Visits"), {ticks: {precision: 0}}),
                        y: this.getAxis(_t("Revenue"), {
                            ticks: {callback: (value) => this.formatShort(value)},
                        }),
                    },
                    plugins: this.getPlugins(
                        ({dataset, dataIndex}) => {
                            const point = dataset.items?.[dataIndex];
                            return point
                                ? _t("%(name)s: %(revenue)s; visits: %(visits)s", {
                                      name: point.name,
                                      revenue: this.formatMoney(point.revenue),
                                      visits: formatInteger(point.visits),
                                  })
                                : "";
                        },
                        {filter: ({datasetIndex}) => datasetIndex < levels.length}
                    ),
                },
            }),
        };
    }

    makeLoad() {
        const {rows} = this.data.load;
        const shown = rows.filter(({id, load}) => id || load).slice(0, SHOWN_BARS);
        const over = rows.filter(({is_over}) => is_over);
        return {
            label: rows.length
                ? _t("Salespeople with more to do than time: %(over)s of %(total)s", {
                      over: formatInteger(over.length),
                      total: formatInteger(rows.filter(({id}) => id).length),
                  })
                : _t("No visits are asked for"),
            isEmpty: !rows.length,
            hint:
                shown.length < rows.length
                    ? _t("Drawn are the %s fullest; the table has all.", shown.length)
                    : undefined,
            height: Math.max(160, shown.length * BAR_HEIGHT + 90),
            table: {
                columns: [
                    {label: _t("Salesperson")},
                    {label: _t("Visits asked a week"), isNumber: true},
                    {label: _t("Fit into a week"), isNumber: true},
                    {label: "%", isNumber: true},
                    {label: _t("Accounts"), isNumber: true},
                    {label: _t("Leads"), isNumber: true},
                ],
                rows: rows.map((row) => ({
                    id: row.id || "nobody",
                    item: row,
                    warned: row.is_over && 3,
                    cells: [
                        row.name,
                        formatNumber(row.load),
                        row.capacity === null ? "–" : formatNumber(row.capacity),
                        formatPercent(row.percent),
                        formatInteger(row.count),
                        formatInteger(row.lead_count),
                    ],
                })),
            },
            getConfig: () => ({
                type: "bar",
                data: {
                    labels: shown.map(({name}) => shorten(name)),
                    datasets: [
                        {
                            label: _t("Asked"),
                            backgroundColor: shown.map(({is_over}) =>
                                is_over ? DANGER_COLOR : getPictureColor(0)
                            ),
                            borderRadius: 3,
                            minBarLength: 3,
                            data: shown.map(({load}) => load),
                            items: shown,
                        },
                        {
                            label: _t("Fit"),
                            backgroundColor: MUTED_COLOR,
                            borderRadius: 3,
                            data: shown.map(({capacity}) => capacity),
                            items: shown,
                        },
                    ],
                },
                options: {
                    indexAxis: "y",
                    scales: {
                        x: this.getAxis(_t("Visits a week")),
                        y: this.getAxis("", {grid: {display: false}}),
                    },
                    plugins: this.getPlugins(({dataset, raw}) => {
                        return nameValue(dataset.label, formatNumber(raw || 0));
                    }),
                },
            }),
        };
    }

    makeMoves() {
        const {rows, up, down} = this.data.moves;
        const items = rows.map((row) => ({
            name: `${row.from} → ${row.to}`,
            domain: row.domain,
        }));
        const directions = {
            up: _t("Up"),
            down: _t("Down"),
            same: _t("Same place in another policy"),
        };
        const colors = {up: SUCCESS_COLOR, down: DANGER_COLOR, same: MUTED_COLOR};
        return {
            label: _t("Moved up: %(up)s; moved down: %(down)s", {
                up: formatInteger(up),
                down: formatInteger(down),
            }),
            isEmpty: !rows.length,
            height: Math.max(160, rows.length * 1.4 * BAR_HEIGHT + 60),
            table: {
                columns: [
                    {label: _t("From → to")},
                    {label: _t("Direction")},
                    {label: _t("Accounts"), isNumber: true},
                ],
                rows: rows.map((row, index) => ({
                    id: index,
                    item: items[index],
                    cells: [
                        items[index].name,
                        directions[row.direction],
                        formatInteger(row.count),
                    ],
                })),
            },
            getConfig: () => ({
                type: "bar",
                data: {
                    // Two lines
                    labels: rows.map((row) => [row.from, `→ ${row.to}`]),
                    datasets: [
                        {
                            label: _t("Accounts"),
                            backgroundColor: rows.map(
                                ({direction}) => colors[direction]
                            ),
                            borderRadius: 3,
                            minBarLength: 3,
                            data: rows.map(({count}) => count),
                            items,
                        },
                    ],
                },
                options: {
                    indexAxis: "y",
                    scales: {
                        x: this.getAxis(_t("Accounts"), {ticks: {precision: 0}}),
                        y: this.getAxis("", {grid: {display: false}}),
                    },
                    plugins: {legend: {display: false}},
                },
            }),
        };
    }
}

registry.category("lazy_components").add("crm_key_account.Portfolio", Portfolio);
