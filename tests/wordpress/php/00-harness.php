<?php
// A must-use plugin of the tests: mail goes into a file, nothing is asked of wordpress.org, loopback may be called.
add_filter(
	'pre_wp_mail',
	static function ( $sent, $mail ) {
		file_put_contents( WPMU_PLUGIN_DIR . '/../mail.jsonl', wp_json_encode( $mail ) . "\n", FILE_APPEND | LOCK_EX );
		return true;
	},
	10,
	2
);
add_filter( 'http_request_host_is_external', '__return_true' );
add_filter( 'pre_http_request', static function ( $answer, $arguments, $url ) {
	$host = wp_parse_url( $url, PHP_URL_HOST );
	return '127.0.0.1' === $host ? $answer : new WP_Error( 'outside', 'The tests call nobody outside.' );
}, 10, 3 );
remove_action( 'init', 'wp_schedule_update_checks' );

foreach ( array( 'TEST_LISTS', 'TEST_SHOP', 'TEST_ENTRIES' ) as $name ) {
	if ( defined( $name ) ) {
		require constant( $name );
	}
}

// As `wp eval` does: an administrator's code, run as a visitor's request.
add_action(
	'rest_api_init',
	static function () {
		register_rest_route(
			'test/v1',
			'/evaluate',
			array(
				'methods'             => 'POST',
				'permission_callback' => static function () {
					return current_user_can( 'manage_options' );
				},
				'callback'            => static function ( $request ) {
					require_once ABSPATH . 'wp-admin/includes/user.php';
					wp_set_current_user( 0 );
					return array( 'result' => eval( $request->get_json_params()['code'] ) ); // phpcs:ignore Squiz.PHP.Eval
				},
			)
		);
	}
);
