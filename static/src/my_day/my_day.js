import {Component, useState} from "@odoo/owl";
import {KanbanController} from "@web/views/kanban/kanban_controller";
import {KeyAccountKanbanRenderer} from "../start/start_views";
import {RPCError} from "@web/core/network/rpc";
import {_t} from "@web/core/l10n/translation";
import {deserializeDate} from "@web/core/l10n/dates";
import {formatDate} from "@web/views/fields/formatters";
import {getLateText} from "../late_text";
import {kanbanView} from "@web/views/kanban/kanban_view";
import {registry} from "@web/core/registry";
import {useService} from "@web/core/utils/hooks";

const TASK_ICONS = {
    commitment: "fa-handshake-o",
    follow_up: "fa-phone",
};

/** What the day holds besides the visits: what is due, and the road. */
export class MyDayTop extends Component {
    static template = "crm_key_account.MyDayTop";
    static props = {
        day: Object,
        reload: Function,
    };

    setup() {
        this.taskIcons = TASK_ICONS;
        this.action = useService("action");
        this.notification = useService("notification");
        this.orm = useService("orm");
        this.state = useState({isBusy: false});
    }

    get route() {
        return this.props.day.route;
    }

    get routeText() {
        const {count, is_planned, km, more} = this.route;
        const parts = [_t("%s stops", count)];
        if (is_planned) {
            parts.push(_t("%s km", km));
        }
        if (more) {
            parts.push(
                more === 1
                    ? _t("1 more visit not on it")
                    : _t("%s more visits not on it", more)
            );
        }
        return parts.join(" · ");
    }

    getLateText(days) {
        return getLateText(days);
    }

    /** Do something, and show what became of it; a sentence of the server's as well. */
    async run(step) {
        try {
            await step();
            await this.props.reload();
        } catch (error) {
            if (!(error instanceof RPCError)) {
                throw error;
            }
            const message = error.data?.message || error.message;
            this.notification.add(message, {type: "danger"});
        }
    }

    /** The same, once, however often it is tapped. */
    async runOnce(step) {
        if (this.state.isBusy) {
            return;
        }
        this.state.isBusy = true;
        try {
            await this.run(step);
        } finally {
            this.state.isBusy = false;
        }
    }

    planRoute() {
        return this.runOnce(() =>
            this.orm.call("key.account.visit", "action_route", [])
        );
    }

    doTask(task) {
        return this.runOnce(async () => {
            await this.orm.call("mail.activity", "action_done", [[task.id]]);
            const close = this.notification.add(_t("Done: %s", task.summary), {
                type: "success",
                buttons: [
                    {
                        name: _t("Undo"),
                        onClick: () => {
                            close();
                            return this.undoTask(task);
                        },
                    },
                ],
            });
        });
    }

    undoTask({id, summary}) {
        // What was done says nothing to others: it has to be said again
        return this.run(() =>
            this.orm.write("mail.activity", [id], {active: true, summary})
        );
    }

    /** Report a meeting that was held as the visit that it was. */
    async reportMeeting({id}) {
        const action = await this.orm.call(
            "calendar.event",
            "action_report_key_account_visit",
            [[id]]
        );
        await this.action.doAction(action, {onClose: this.props.reload});
    }

    declineMeeting({id}) {
        return this.runOnce(() =>
            this.orm.call("calendar.event", "action_decline_key_account_visit", [[id]])
        );
    }

    getDayText(day) {
        return formatDate(deserializeDate(day));
    }

    openTask({res_model, res_id}) {
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model,
            res_id,
            views: [[false, "form"]],
        });
    }
}

export class MyDayController extends KanbanController {
    static template = "crm_key_account.MyDay";
    static components = {...KanbanController.components, MyDayTop};

    setup() {
        this.dayState = useState({day: null});
        super.setup();
        this.orm = useService("orm");
        this.actionService = useService("action");
    }

    get modelParams() {
        const params = super.modelParams;
        // With the visits, so that both tell of the same moment
        params.hooks.onRootLoaded = () => this.loadDay();
        return params;
    }

    async loadDay() {
        this.dayState.day = await this.env.services.orm.call(
            "key.account.visit",
            "get_my_day",
            []
        );
    }

    /** The main button: a visit that took place. */
    async createRecord() {
        const action = await this.orm.call("key.account.visit", "action_log", [[]]);
        await this.actionService.doAction(action, {onClose: () => this.model.load()});
    }
}

registry.category("views").add("key_account_my_day", {
    ...kanbanView,
    Controller: MyDayController,
    Renderer: KeyAccountKanbanRenderer,
});
