import {FormController} from "@web/views/form/form_controller";
import {formView} from "@web/views/form/form_view";
import {registry} from "@web/core/registry";

const REPORT_ACTIONS = ["action_report", "action_report_later"];

/**
 * The report is written and given by one call: when an answer is missing, the server
 * says which, and nothing has changed.
 */
export class ReportFormController extends FormController {
    /** Whether what was typed may be kept when the page is left: on a visit that is
     * still to be reported. A visit that is being logged took place when the report is
     * saved, and a report that was given changes only then. */
    get keepsDraft() {
        const {data, isNew} = this.model.root;
        return !isNew && !data.report_date;
    }

    beforeVisibilityChange() {
        return this.keepsDraft && super.beforeVisibilityChange();
    }

    async beforeLeave(options) {
        return this.keepsDraft ? super.beforeLeave(options) : true;
    }

    async beforeUnload(ev) {
        return this.keepsDraft && super.beforeUnload(ev);
    }

    async beforeExecuteActionButton(clickParams) {
        if (!REPORT_ACTIONS.includes(clickParams.name)) {
            return super.beforeExecuteActionButton(clickParams);
        }
        const record = this.model.root;
        if (await record.checkValidity({displayNotification: true})) {
            const action = await this.orm.call(
                record.resModel,
                clickParams.name,
                [record.resId ? [record.resId] : []],
                {values: await record.getChanges(), context: record.context}
            );
            await this.actionService.doAction(action);
        }
        return false;
    }
}

registry.category("views").add("key_account_report_form", {
    ...formView,
    Controller: ReportFormController,
});
