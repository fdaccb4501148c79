import {StartPanel, useStartPanel} from "./start_panel";
import {KanbanRenderer} from "@web/views/kanban/kanban_renderer";
import {ListRenderer} from "@web/views/list/list_renderer";
import {StartHelper} from "./start_helper";
import {kanbanView} from "@web/views/kanban/kanban_view";
import {listView} from "@web/views/list/list_view";
import {registry} from "@web/core/registry";

export const HELPER = {ActionHelper: StartHelper};

/** Lists and kanbans that tell why they are empty. */
export class KeyAccountListRenderer extends ListRenderer {
    static components = {...ListRenderer.components, ...HELPER};
}

export class KeyAccountKanbanRenderer extends KanbanRenderer {
    static components = {...KanbanRenderer.components, ...HELPER};
}

/** The same, with the panel of the first steps. */
export class StartListRenderer extends ListRenderer {
    static template = "crm_key_account.StartListRenderer";
    static components = {...ListRenderer.components, ...HELPER, StartPanel};

    setup() {
        super.setup();
        this.start = useStartPanel(this);
    }

    get showNoContentHelper() {
        return !this.start.steps && super.showNoContentHelper;
    }
}

export class StartKanbanRenderer extends KanbanRenderer {
    static template = "crm_key_account.StartKanbanRenderer";
    static components = {...KanbanRenderer.components, ...HELPER, StartPanel};

    setup() {
        super.setup();
        this.start = useStartPanel(this);
    }

    get showNoContentHelper() {
        return !this.start.steps && super.showNoContentHelper;
    }
}

const views = registry.category("views");
views.add("key_account_list", {...listView, Renderer: KeyAccountListRenderer});
views.add("key_account_kanban", {...kanbanView, Renderer: KeyAccountKanbanRenderer});
views.add("key_account_start_list", {...listView, Renderer: StartListRenderer});
views.add("key_account_start_kanban", {...kanbanView, Renderer: StartKanbanRenderer});
