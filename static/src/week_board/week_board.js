import {Component, onWillStart, useEffect, useRef, useState} from "@odoo/owl";
import {ConfirmationDialog} from "@web/core/confirmation_dialog/confirmation_dialog";
import {Layout} from "@web/search/layout";
import {RPCError} from "@web/core/network/rpc";
import {TRACK_ICONS} from "../track/track_field";
import {_t} from "@web/core/l10n/translation";
import {deserializeDate} from "@web/core/l10n/dates";
import {formatDate, formatFloat} from "@web/views/fields/formatters";
import {getLateText} from "../late_text";
import {openFirstSteps, openSettings} from "../start/start_panel";
import {pick} from "@web/core/utils/objects";
import {registry} from "@web/core/registry";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {useService} from "@web/core/utils/hooks";
import {useSetupAction} from "@web/search/action_hook";
import {useSortable} from "@web/core/utils/sortable_owl";

/**
 * The visits of a week: a row for each salesperson, a column for each day, and what has
 * no day yet beside it. Dragging writes at once; the server has the last word.
 *
 * On a phone, the user's own week as a list of days; who sees all documents also finds
 * the team there, and the week of each salesperson.
 */
export class WeekBoard extends Component {
    static template = "crm_key_account.WeekBoard";
    static components = {Layout};
    static props = {...standardActionServiceProps};

    setup() {
        this.trackIcons = TRACK_ICONS;
        this.orm = useService("orm");
        this.action = useService("action");
        this.dialog = useService("dialog");
        this.notification = useService("notification");
        this.ui = useState(useService("ui"));
        this.requestId = 0;
        const {date, teamId, isTeam, row} = this.props.state?.board || {};
        this.state = useState({
            data: null,
            date: date || this.props.action?.params?.date || false,
            teamId: teamId || false,
            // On a phone: the team instead of the own week, and whose week of it
            isTeam: isTeam ?? Boolean(this.props.action?.params?.is_team),
            row: row || null,
            isBacklogOpen: false,
        });
        useSetupAction({
            getLocalState: () => ({
                board: pick(this.state, "date", "teamId", "isTeam", "row"),
            }),
        });
        onWillStart(() => this.load());
        useEffect(
            (isSmall) => {
                // The screen was turned, or the window made smaller
                if (isSmall !== this.isSmall) {
                    this.load();
                }
            },
            () => [this.ui.isSmall]
        );
        const root = useRef("root");
        useSortable({
            ref: root,
            // On a phone, a visit is moved in its form
            enable: () => !this.ui.isSmall,
            elements: ".o_movable",
            groups: ".o_week_board_group",
            connectGroups: true,
            cursor: "grabbing",
            placeholderClasses: ["o_week_board_placeholder"],
            // Nothing moves under the pointer: what is left and entered keeps its height
            onWillStartDrag: ({addStyle}) => {
                for (const group of root.el.querySelectorAll(".o_week_board_group")) {
                    const {height} = group.getBoundingClientRect();
                    addStyle(group, {minHeight: `${height}px`});
                }
            },
            onGroupEnter: ({addClass, group}) => addClass(group, "o_hover"),
            onGroupLeave: ({removeClass, group}) => removeClass(group, "o_hover"),
            onDrop: ({element, group, parent}) => {
                if (parent && parent !== group && parent.dataset.date) {
                    this.move(element.dataset, parent.dataset);
                }
            },
        });
    }

    async load() {
        const requestId = ++this.requestId;
        this.isSmall = this.ui.isSmall;
        const {date, teamId, isTeam} = this.state;
        const data = await this.orm.call("key.account.visit", "get_week_board", [], {
            date,
            team_id: teamId,
            own: this.isSmall && !isTeam,
        });
        if (requestId === this.requestId) {
            this.state.data = data;
        }
    }

    // What the template shows

    get data() {
        return this.state.data;
    }

    get title() {
        const {start, end} = this.data;
        // not as the browser writes a span: that is in figures in Chinese
        return _t("%(first)s to %(last)s", {
            first: this.getShortDate(start),
            last: this.getShortDate(end),
        });
    }

    /** On a phone: the only row, or the one that was chosen; none: the whole team. */
    get shownRow() {
        const {isTeam, row} = this.state;
        if (!isTeam) {
            return this.data.rows.find(({user_id}) => user_id);
        }
        return row && this.data.rows.find(({user_id}) => user_id === row.userId);
    }

    /** What is left of earlier weeks: of the row that is shown, or of all. */
    get shownOverdue() {
        const row = this.state.isTeam && this.ui.isSmall && this.shownRow;
        return this.data.overdue.filter(({user_id}) => !row || user_id === row.user_id);
    }

    getDayName(day, weekday = "short") {
        return deserializeDate(day).toLocaleString({
            weekday,
            day: "numeric",
            month: "short",
        });
    }

    getWeekday(day) {
        return deserializeDate(day).toLocaleString({weekday: "short"});
    }

    getShortDate(day) {
        return formatDate(deserializeDate(day));
    }

    getVisits(row, day) {
        return this.data.visits.filter(
            ({user_id, date}) => user_id === row.user_id && date === day
        );
    }

    getLoad(row, day) {
        // four calls are as long as a visit
        const count = this.getVisits(row, day).reduce((sum, {load}) => sum + load, 0);
        const capacity = row.capacities[day];
        const isOff = capacity === undefined;
        return {
            count,
            capacity: capacity || 0,
            isOff,
            isOver: count > (capacity || 0),
            percent: capacity ? Math.min((100 * count) / capacity, 100) : count && 100,
        };
    }

    /** The visits of the shown days, and how many fit on them. */
    getWeekLoad(row) {
        const loads = this.data.days.map((day) => this.getLoad(row, day));
        const sum = (name) => loads.reduce((total, load) => total + load[name], 0);
        const [count, capacity] = [sum("count"), sum("capacity")];
        return {count, capacity, isOver: count > capacity};
    }

    /** As the user's language writes it: calls are quarters of a visit. */
    formatCount(count) {
        return formatFloat(count, {digits: [16, 2], trailingZeros: false});
    }

    getLateText(days) {
        return getLateText(days);
    }

    getLoadHint({count, capacity, isOff}) {
        if (isOff) {
            return _t("No working day");
        }
        return _t("%(count)s of %(capacity)s visits", {
            count: this.formatCount(count),
            capacity: this.formatCount(capacity),
        });
    }

    getCardHint(card) {
        return [
            card.name,
            card.tier,
            card.track_name,
            card.summary,
            card.state === "done" && _t("Done"),
            card.is_overdue && getLateText(card.days_overdue),
            card.is_fixed && _t("Moved by hand"),
            card.meeting && _t("Meeting at %s", card.meeting),
            card.receiving && _t("Receives: %s", card.receiving),
        ]
            .filter(Boolean)
            .join("\n");
    }

    getRatio({overdue_ratio}) {
        return formatFloat(overdue_ratio, {digits: [16, 1]});
    }

    // What the user does

    async showWeek(date) {
        this.state.date = date;
        await this.load();
    }

    async shiftWeek(weeks) {
        const day = deserializeDate(this.data.start).plus({weeks});
        await this.showWeek(day.toISODate());
    }

    async onTeamChange(ev) {
        this.state.teamId = parseInt(ev.target.value) || false;
        await this.load();
    }

    async showTeam(isTeam) {
        Object.assign(this.state, {isTeam, row: null});
        await this.load();
    }

    showRow(row) {
        this.state.row = row && {userId: row.user_id};
    }

    async move({kind, id}, {date, userId}) {
        const resId = parseInt(id);
        const toUserId = parseInt(userId) || false;
        const isBacklog = kind === "backlog";
        const row = this.data.rows.find(({user_id}) => user_id === toUserId);
        if (toUserId && row && !(date in row.capacities)) {
            if (!(await this.confirmDayOff(row, date))) {
                return;
            }
        }
        const lists = isBacklog ? ["backlog"] : ["visits", "overdue"];
        const card = lists
            .flatMap((list) => this.data[list])
            .find((each) => each.id === resId);
        if (card?.closed?.includes(date) && !(await this.confirmClosed(card, date))) {
            return;
        }
        // Show the card in its new place at once; the server's answer has the last word
        let moved = null;
        for (const list of lists) {
            const cards = this.data[list];
            moved = moved || cards.find((card) => card.id === resId);
            this.data[list] = cards.filter((card) => card !== moved);
        }
        this.data.visits.push({
            ...moved,
            id: isBacklog ? `backlog_${resId}` : resId,
            date,
            user_id: toUserId,
            is_overdue: false,
        });
        const [model, method] = isBacklog
            ? ["key.account.due", "action_plan"]
            : ["key.account.visit", "action_move"];
        await this.write(async () => {
            const result = await this.orm.call(model, method, [
                [resId],
                date,
                toUserId,
            ]);
            this.offerUndo(
                _t("%(name)s: %(day)s", {
                    name: moved.name,
                    day: this.getDayName(date),
                }),
                isBacklog
                    ? ["action_undo_plan", [[result]]]
                    : [
                          "action_undo_move",
                          [
                              [resId],
                              moved.date,
                              moved.user_id,
                              moved.is_fixed,
                              [date, toUserId],
                          ],
                      ]
            );
        });
    }

    /** Do something on the server, and show the week as it is then. */
    async write(step) {
        try {
            await step();
        } catch (error) {
            if (!(error instanceof RPCError)) {
                throw error;
            }
            const message = error.data?.message || error.message;
            this.notification.add(message, {type: "danger"});
        } finally {
            await this.load();
        }
    }

    offerUndo(message, [method, args]) {
        const close = this.notification.add(message, {
            type: "success",
            buttons: [
                {
                    name: _t("Undo"),
                    onClick: () => {
                        close();
                        return this.write(() =>
                            this.orm.call("key.account.visit", method, args)
                        );
                    },
                },
            ],
        });
    }

    confirmDayOff({name}, date) {
        return this.confirm(
            _t("No working day"),
            _t("%(name)s doesn't work on %(day)s.", {
                name,
                day: this.getDayName(date, "long"),
            })
        );
    }

    confirmClosed({name, receiving}, date) {
        return this.confirm(
            _t("Not received"),
            _t("%(name)s receives nobody on %(day)s (%(hours)s).", {
                name,
                day: this.getDayName(date, "long"),
                hours: receiving,
            })
        );
    }

    confirm(title, body) {
        return new Promise((resolve) => {
            this.dialog.add(
                ConfirmationDialog,
                {
                    title,
                    body,
                    confirmLabel: _t("Plan Anyway"),
                    confirm: () => resolve(true),
                    cancel: () => resolve(false),
                },
                {onClose: () => resolve(false)}
            );
        });
    }

    async openFirstSteps() {
        await openFirstSteps(this);
    }

    openSettings() {
        return openSettings(this);
    }

    openVisit({id}) {
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model: "key.account.visit",
            res_id: id,
            views: [[false, "form"]],
        });
    }

    async openBacklog({id}) {
        const action = await this.orm.call("key.account.due", "action_open_document", [
            [id],
        ]);
        return this.action.doAction(action);
    }
}

registry.category("actions").add("key_account_week_board", WeekBoard);
