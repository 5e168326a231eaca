/** `linnet/config` of a chip: what its manifest has in `config.linnet`. */
import config from "mc/config";

export default () => config.linnet ?? {};
