import {Component} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardWidgetProps} from "@web/views/widgets/standard_widget_props";

/**
 * A button that shows what the form's values would do, without saving them: buttons of
 * a view save first.
 */
export class PreviewButton extends Component {
    static template = "crm_key_account.PreviewButton";
    static props = {
        ...standardWidgetProps,
        icon: {type: Boolean, optional: true},
    };

    setup() {
        // Not by useService: on a phone the button is in a menu that closes, and what
        // goes on afterwards would wait for ever.
        const {action, orm, ui} = this.env.services;
        Object.assign(this, {action, orm, ui});
    }

    get ids() {
        const {resId} = this.props.record;
        return resId ? [resId] : [];
    }

    async onClick() {
        const {record} = this.props;
        if (!(await record.checkValidity({displayNotification: true}))) {
            return;
        }
        const values = await record.getChanges();
        const action = await this.call("action_preview", [this.ids, values]);
        await this.action.doAction(action, {
            onClose: (infos) => infos?.key_account_run && this.saveAndRun(),
        });
    }

    /** Call a method that may take a while. */
    async call(method, args) {
        const {record} = this.props;
        this.ui.block({message: _t("Trying it with all accounts…")});
        try {
            return await this.orm.call(record.resModel, method, args, {
                context: record.context,
            });
        } finally {
            this.ui.unblock();
        }
    }

    async saveAndRun() {
        if (await this.props.record.save()) {
            await this.action.doAction(await this.call("action_run", [this.ids]));
        }
    }
}

registry.category("view_widgets").add("key_account_preview", {
    component: PreviewButton,
    extractProps: ({options}) => ({icon: Boolean(options?.icon)}),
});
