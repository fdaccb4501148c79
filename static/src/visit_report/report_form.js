import {ADD_TYPED} from "./contact_chips_field";
import {FormController} from "@web/views/form/form_controller";
import {browser} from "@web/core/browser/browser";
import {formView} from "@web/views/form/form_view";
import {registry} from "@web/core/registry";
import {useBus} from "@web/core/utils/hooks";
import {user} from "@web/core/user";

const REPORT_ACTIONS = ["action_report", "action_report_later"];

/**
 * The report is written and given by one call: when an answer is missing, the server
 * says which, and nothing has changed.
 *
 * What was typed is kept when one goes back: on the visit, where there is one that is
 * still to be reported; else, until the report is saved or discarded, in this tab.
 */
export class ReportFormController extends FormController {
    setup() {
        if (!this.props.resId) {
            // before the model reads them
            const context = {...this.props.context, ...this.keptDefaults};
            this.keepKey = this.getKeepKey();
            this.props = {...this.props, context};
        }
        super.setup();
        if (this.env.inDialog) {
            this.env.dialogData.dismiss = () => this.keepOrStay();
            useBus(this.env.bus, "CLEAR-UNCOMMITTED-CHANGES", ({detail}) =>
                detail.push(() => this.keep())
            );
        }
    }

    // A visit that is being logged ------------------------------------------------

    /** Where what was typed is kept: for this user, customer and held meeting, in
     * this tab. */
    getKeepKey() {
        const {
            default_partner_id: partnerId,
            default_lead_id: leadId,
            default_date_visited: day,
        } = this.props.context;
        // a meeting that was held has its day: what is typed is about that one
        const parts = [user.userId, partnerId || "", leadId || "", day || ""];
        return `key_account_report,${parts.join(",")}`;
    }

    get keptDefaults() {
        const kept = browser.sessionStorage.getItem(this.getKeepKey());
        return Object.fromEntries(
            Object.entries(JSON.parse(kept || "{}")).map(([name, value]) => [
                `default_${name}`,
                value,
            ])
        );
    }

    forget() {
        if (this.keepKey) {
            browser.sessionStorage.removeItem(this.keepKey);
        }
    }

    /** Names that were typed and not added yet are those of people who were met. */
    async addTyped() {
        const proms = [];
        this.model.bus.trigger(ADD_TYPED, proms);
        await Promise.all(proms);
    }

    async keep() {
        const record = this.model.root;
        if (record.data.report_date) {
            return true;
        }
        await this.addTyped();
        if (!(await record.isDirty())) {
            return true;
        }
        if (record.isNew) {
            const values = JSON.stringify(await record.getChanges());
            browser.sessionStorage.setItem(this.keepKey, values);
            return true;
        }
        return this.save({
            onError: (error, options) => this.onSaveError(error, options, true),
        });
    }

    /** The dialog closes with what it waits for. */
    async keepOrStay() {
        if (!(await this.keep())) {
            await new Promise(() => {});
        }
    }

    // Leaving ---------------------------------------------------------------------

    beforeVisibilityChange() {
        return document.visibilityState === "hidden" && this.keep();
    }

    async beforeLeave({forceLeave} = {}) {
        return forceLeave || this.keep();
    }

    /** Whether what was typed may be written when the page is closed: on a visit that is
     * still to be reported. */
    async beforeUnload(ev) {
        const {data, isNew} = this.model.root;
        return !isNew && !data.report_date && super.beforeUnload(ev);
    }

    async beforeExecuteActionButton(clickParams) {
        const record = this.model.root;
        if (clickParams.special === "cancel") {
            this.forget();
        }
        if (clickParams.name === "action_open_cancel") {
            // A report that is left unfinished, of a visit that didn't take place
            return true;
        }
        if (!REPORT_ACTIONS.includes(clickParams.name)) {
            return super.beforeExecuteActionButton(clickParams);
        }
        await this.addTyped();
        if (await record.checkValidity({displayNotification: true})) {
            const action = await this.orm.call(
                record.resModel,
                clickParams.name,
                [record.resId ? [record.resId] : []],
                {values: await record.getChanges(), context: record.context}
            );
            this.forget();
            await this.actionService.doAction(action);
        }
        return false;
    }
}

registry.category("views").add("key_account_report_form", {
    ...formView,
    Controller: ReportFormController,
});
