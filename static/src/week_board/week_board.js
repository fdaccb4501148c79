import {Component, onWillStart, useEffect, useRef, useState} from "@odoo/owl";
import {ConfirmationDialog} from "@web/core/confirmation_dialog/confirmation_dialog";
import {Layout} from "@web/search/layout";
import {RPCError} from "@web/core/network/rpc";
import {_t} from "@web/core/l10n/translation";
import {deserializeDate} from "@web/core/l10n/dates";
import {formatFloat} from "@web/views/fields/formatters";
import {registry} from "@web/core/registry";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {useService} from "@web/core/utils/hooks";
import {useSetupAction} from "@web/search/action_hook";
import {useSortable} from "@web/core/utils/sortable_owl";

const TRACK_ICONS = {
    visit: "fa-briefcase",
    contact: "fa-phone",
    executive: "fa-star",
};

/**
 * The visits of a week: a row for each salesperson, a column for each day, and what has
 * no day yet beside it. Dragging writes at once; the server has the last word.
 *
 * On a phone, the user's own week as a list of days.
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
        const {date, teamId} = this.props.state?.board || {};
        this.state = useState({
            data: null,
            date: date || false,
            teamId: teamId || false,
            isBacklogOpen: false,
        });
        useSetupAction({
            getLocalState: () => ({
                board: {date: this.state.date, teamId: this.state.teamId},
            }),
        });
        onWillStart(() => this.load());
        useEffect(
            (isSmall) => {
                // The screen was turned, or the window made smaller
                if (isSmall !== this.isOwn) {
                    this.load();
                }
            },
            () => [this.ui.isSmall]
        );
        useSortable({
            ref: useRef("root"),
            // On a phone, a visit is moved in its form
            enable: () => !this.ui.isSmall,
            elements: ".o_movable",
            groups: ".o_week_board_group",
            connectGroups: true,
            cursor: "grabbing",
            onGroupEnter: ({addClass, group}) => addClass(group, "o_hover"),
            onGroupLeave: ({removeClass, group}) => removeClass(group, "o_hover"),
            onDrop: ({element, group, parent}) => {
                if (parent && parent !== group && parent.dataset.date) {
                    this.askToMove(element.dataset, parent.dataset);
                }
            },
        });
    }

    async load() {
        const requestId = ++this.requestId;
        this.isOwn = this.ui.isSmall;
        const {date, teamId} = this.state;
        const data = await this.orm.call("key.account.visit", "get_week_board", [], {
            date,
            team_id: teamId,
            own: this.isOwn,
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
        const [first, last] = [start, end].map(deserializeDate);
        const format = {day: "numeric", month: "short"};
        return `${first.toLocaleString(format)} – ${last.toLocaleString({
            ...format,
            year: "numeric",
        })}`;
    }

    /** On a phone: the only row. */
    get ownRow() {
        return this.data.rows.find(({user_id}) => user_id);
    }

    getDayName(day, weekday = "short") {
        return deserializeDate(day).toLocaleString({
            weekday,
            day: "numeric",
            month: "short",
        });
    }

    getShortDate(day) {
        return deserializeDate(day).toLocaleString({day: "numeric", month: "short"});
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

    getLoadHint({count, capacity, isOff}) {
        if (isOff) {
            return _t("No working day");
        }
        return _t("%(count)s of %(capacity)s visits", {count, capacity});
    }

    getCardHint(card) {
        return [
            card.name,
            card.tier,
            card.track_name,
            card.summary,
            card.state === "done" && _t("Done"),
            card.is_overdue && _t("Overdue"),
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

    /** Ask first where the customer receives nobody on that day. */
    askToMove(from, to) {
        const lists = from.kind === "backlog" ? ["backlog"] : ["visits", "overdue"];
        const card = lists
            .flatMap((list) => this.data[list])
            .find(({id}) => id === parseInt(from.id));
        if (!card?.closed?.includes(to.date)) {
            return this.move(from, to);
        }
        this.dialog.add(ConfirmationDialog, {
            body: _t(
                "%(name)s receives nobody on %(day)s (%(hours)s). Plan the visit anyway?",
                {
                    name: card.name,
                    day: this.getDayName(to.date),
                    hours: card.receiving,
                }
            ),
            confirmLabel: _t("Plan Anyway"),
            confirm: () => this.move(from, to),
            cancel: () => {},
        });
    }

    async move({kind, id}, {date, userId}) {
        const resId = parseInt(id);
        const toUserId = parseInt(userId) || false;
        const isBacklog = kind === "backlog";
        // Show the card in its new place at once; the server's answer has the last word
        let moved = null;
        for (const list of isBacklog ? ["backlog"] : ["visits", "overdue"]) {
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
        try {
            await this.orm.call(model, method, [[resId], date, toUserId]);
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
