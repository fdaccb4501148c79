import {Component, markup, onWillStart, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {user} from "@web/core/user";
import {useService} from "@web/core/utils/hooks";

const START = "key.account.start";

/** Block the screen while the server works on all accounts. */
export async function callStart({orm, ui}, method) {
    ui.block({message: _t("This may take a minute…")});
    try {
        return await callAction(orm, method);
    } finally {
        ui.unblock();
    }
}

/** What to open next; its help is HTML, as of the actions that Odoo loads itself. */
async function callAction(orm, method) {
    const action = await orm.call(START, method, []);
    if (action.help) {
        action.help = markup(action.help);
    }
    return action;
}

/** The accounts with the panel, also where somebody closed it. */
export async function openFirstSteps({action, orm}) {
    await action.doAction(await callAction(orm, "action_open"));
}

/** Where planning is switched on. */
export function openSettings({action}) {
    return action.doAction("crm.crm_config_settings_action");
}

/** The steps from the installation to the first planned week, for administrators. */
export class StartPanel extends Component {
    static template = "crm_key_account.StartPanel";
    static props = {steps: Array, onClose: Function};

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        this.ui = useService("ui");
    }

    /** The button to press next stands out. */
    get next() {
        return this.props.steps.find((step) => !step.done);
    }

    async onClick(step) {
        await this.action.doAction(await callStart(this, step.action));
    }

    async onClickClose() {
        await this.orm.call(START, "action_close", []);
        this.props.onClose();
    }
}

/** Load the panel's steps into the state of a list or kanban. */
export function useStartPanel({env}) {
    const orm = useService("orm");
    const state = useState({steps: false, close: () => (state.steps = false)});
    onWillStart(async () => {
        const isWanted =
            !env.inDialog && (await user.hasGroup("sales_team.group_sale_manager"));
        if (isWanted) {
            const {context} = env.searchModel || {};
            state.steps = await orm.call(START, "get_panel", [], {context});
        }
    });
    return state;
}
