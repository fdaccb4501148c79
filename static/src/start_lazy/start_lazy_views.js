import {GraphController} from "@web/views/graph/graph_controller";
import {GraphModel} from "@web/views/graph/graph_model";
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

/** Series of a selection come in its order, as groups of lists do: levels from the
 * lowest on, whichever the first month has. */
export class KeyAccountGraphModel extends GraphModel {
    _getData() {
        const data = super._getData(...arguments);
        const {fields, groupBy, mode} = this.metaData;
        const {selection} = fields[groupBy[1]?.fieldName] || {};
        if (selection && groupBy.length === 2 && mode !== "pie") {
            const names = selection.map(([, name]) => name);
            const getPlace = ({label}) =>
                names.includes(label) ? names.indexOf(label) : names.length;
            data.datasets.sort((one, other) => getPlace(one) - getPlace(other));
        }
        return data;
    }
}

const views = registry.category("views");
views.add("key_account_pivot", {...pivotView, Controller: KeyAccountPivotController});
views.add("key_account_graph", {
    ...graphView,
    Controller: KeyAccountGraphController,
    Model: KeyAccountGraphModel,
});
