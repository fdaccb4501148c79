import {GraphController} from "@web/views/graph/graph_controller";
import {HELPER} from "../start/start_views";
import {PivotController} from "@web/views/pivot/pivot_controller";
import {graphView} from "@web/views/graph/graph_view";
import {pivotView} from "@web/views/pivot/pivot_view";
import {registry} from "@web/core/registry";

/** Pivots and graphs that tell why they are empty, loaded as core's are. */
export class KeyAccountPivotController extends PivotController {
    static components = {...PivotController.components, ...HELPER};
}

export class KeyAccountGraphController extends GraphController {
    static components = {...GraphController.components, ...HELPER};
}

const views = registry.category("views");
views.add("key_account_pivot", {...pivotView, Controller: KeyAccountPivotController});
views.add("key_account_graph", {...graphView, Controller: KeyAccountGraphController});
