<?php
// Runs code inside WordPress, as `wp eval` does: php evaluate.php <folder of WordPress>, code on stdin, JSON on stdout.
$_SERVER += array(
	'HTTP_HOST'       => '127.0.0.1',
	'REQUEST_URI'     => '/',
	'REQUEST_METHOD'  => 'GET',
	'SERVER_PROTOCOL' => 'HTTP/1.1',
	'SERVER_NAME'     => '127.0.0.1',
	'REMOTE_ADDR'     => '127.0.0.1',
);
require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/user.php';
$result = eval( stream_get_contents( STDIN ) ); // phpcs:ignore Squiz.PHP.Eval
echo wp_json_encode( $result );
