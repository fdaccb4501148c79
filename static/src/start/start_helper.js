import {ActionHelper} from "@web/views/action_helper";
import {callStart, openFirstSteps, openSettings} from "./start_panel";
import {onWillStart} from "@odoo/owl";
import {useService} from "@web/core/utils/hooks";

/**
 * Why a list is empty: nobody was tiered yet, nothing was planned yet, there is nobody,
 * filters that somebody has set hide it, or what the action's own help says.
 *
 * Asked for when the list is empty: help that comes with the action may be of yesterday.
 */
export class StartHelper extends ActionHelper {
    static template = "crm_key_account.StartHelper";

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        this.ui = useService("ui");
        onWillStart(async () => {
            this.start = await this.orm.call("key.account.start", "get_state", [
                this.resModel,
            ]);
        });
    }

    get resModel() {
        return this.env.searchModel?.resModel || "key.account";
    }

    /** The filters of the search bar, groups left out. */
    get filters() {
        const {query = [], searchItems = {}} = this.env.searchModel || {};
        return query
            .map(({searchItemId}) => searchItems[searchItemId])
            .filter(({type}) => !["groupBy", "dateGroupBy"].includes(type));
    }

    /** Whether somebody filters, beyond what the screen does by itself. */
    get isFiltered() {
        return this.filters.some(
            ({isDefault, type}) => type === "favorite" || !isDefault
        );
    }

    /** Whether the screen's own filters hide what there may be, and its help leads
     * nowhere else. */
    get isFilteredByDefault() {
        return this.filters.length && !this.props.noContentHelp.includes("<a ");
    }

    async onClickStart() {
        await openFirstSteps(this);
    }

    async onClickPlan() {
        await this.action.doAction(await callStart(this, "action_plan"));
    }

    onClickSettings() {
        return openSettings(this);
    }

    onClickFilters() {
        this.env.searchModel.clearFilters();
    }
}
